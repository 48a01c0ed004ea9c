"""Short work in threads: each job stores a file, and each download reads one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

AT_ONCE = 40

_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="files")


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Return the result of ``work``. Who waits for it may be canceled; it is done all the same.

    It is not told to leave the thread, and knows no context variables: both cost each job as many
    calls as the work itself.
    """
    future = _threads.submit(work, *arguments)
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(partial(_tell, waiting))
    await waiting
    return future.result()


async def in_thread_to_end(work: Callable[..., T], *arguments: Any) -> T:
    """Return the result of ``work``. Who waits for it and is canceled waits until it has ended, so
    that what comes next does not meet it."""
    working = asyncio.ensure_future(in_thread(work, *arguments))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.gather(working, return_exceptions=True)
        raise


def _tell(waiting: asyncio.Future[None], _: Future[Any]) -> None:
    with suppress(RuntimeError):  # its event loop has been closed
        waiting.get_loop().call_soon_threadsafe(_wake, waiting)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
