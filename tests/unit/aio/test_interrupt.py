import asyncio
from contextlib import suppress

import pytest

from comfyq.aio.interrupt import Interrupt

pytestmark = pytest.mark.anyio


async def forever() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_a_wait_returns_its_result() -> None:
    assert await Interrupt().unless_set(asyncio.sleep(0, "done")) == "done"


async def test_a_wait_ends_once_the_interrupt_is_set_and_the_task_goes_on() -> None:
    interrupt = Interrupt()
    asyncio.get_running_loop().call_soon(interrupt.set)
    assert await interrupt.unless_set(forever()) is None
    assert await interrupt.unless_set(forever()) is None, "it is set still"
    interrupt.clear()
    assert await interrupt.unless_set(asyncio.sleep(0, "done")) == "done"
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_work_that_ends_all_the_same_keeps_its_result_and_its_error() -> None:
    async def stubborn() -> str:
        try:
            return await forever()
        except asyncio.CancelledError:
            return "done"

    async def failing() -> str:
        try:
            return await forever()
        except asyncio.CancelledError:
            raise ValueError from None

    for work in (stubborn(), failing()):
        interrupt = Interrupt()
        asyncio.get_running_loop().call_soon(interrupt.set)
        with suppress(ValueError):
            assert await interrupt.unless_set(work) == "done"
        await asyncio.sleep(0)  # nothing is left to be canceled by


async def test_a_canceled_task_is_canceled_even_if_the_interrupt_is_set_as_well() -> None:
    interrupt, outcomes = Interrupt(), list[str]()

    async def wait() -> None:
        await interrupt.unless_set(forever())
        outcomes.append("went on")

    for is_set_first in (True, False):
        interrupt.clear()
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        first, second = interrupt.set, waiting.cancel
        (first if is_set_first else second)()
        (second if is_set_first else first)()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert not outcomes


async def test_a_time_limit_around_a_wait_holds() -> None:
    interrupt = Interrupt()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await interrupt.unless_set(forever())


async def test_one_interrupt_may_end_a_wait_within_another_s() -> None:
    outer, inner = Interrupt(), Interrupt()

    async def both() -> str:
        await inner.unless_set(forever())
        return "went on"

    loop = asyncio.get_running_loop()
    loop.call_soon(inner.set)
    assert await outer.unless_set(both()) == "went on"
    inner.clear()
    loop.call_soon(inner.set)
    loop.call_soon(outer.set)
    assert await outer.unless_set(both()) is None
