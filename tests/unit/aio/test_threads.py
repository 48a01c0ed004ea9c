import asyncio
import threading

import pytest

from comfyq.aio.threads import in_thread

pytestmark = pytest.mark.anyio


async def test_work_is_done_in_another_thread_while_the_event_loop_goes_on() -> None:
    here, free = threading.get_ident(), threading.Event()

    def work(name: str) -> str:
        assert threading.get_ident() != here
        assert free.wait(10)
        return name

    asyncio.get_running_loop().call_soon(free.set)
    assert await in_thread(work, "done") == "done"


async def test_an_error_of_the_work_is_raised() -> None:
    def work() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        await in_thread(work)


async def test_who_is_canceled_does_not_wait_and_the_work_is_done_all_the_same() -> None:
    begun, free, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert free.wait(10)
        done.set()

    waiting = asyncio.create_task(in_thread(work))
    while not begun.is_set():  # noqa: ASYNC110 - a thread's event
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not done.is_set()
    free.set()
    assert done.wait(10)
