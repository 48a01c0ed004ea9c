import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def poll(take: Callable[[], T | None], *, give_back: Callable[[T], object]) -> T | None:
    """Run the blocking call ``take`` in a thread and return its result.

    A long poll that has begun cannot be stopped: if the caller is canceled, the thread goes on, and
    the result is passed to ``give_back``. The threads are daemons, so a process that ends does not
    wait for them.
    """
    future: Future[T | None] = Future()
    future.set_running_or_notify_cancel()
    threading.Thread(target=_run, args=(take, future), name="poll", daemon=True).start()
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(lambda done: _return(done, give_back))
        raise


def _run(take: Callable[[], T | None], future: Future[T | None]) -> None:
    try:
        future.set_result(take())
    except BaseException as error:
        future.set_exception(error)


def _return(done: Future[T | None], give_back: Callable[[T], object]) -> None:
    if done.exception() is None and (taken := done.result()) is not None:
        threading.Thread(target=give_back, args=(taken,), name="poll", daemon=True).start()
