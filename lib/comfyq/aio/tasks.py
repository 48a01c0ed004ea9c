"""Tasks that run beside a piece of work and share its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

K = TypeVar("K")
T = TypeVar("T")


@asynccontextmanager
async def beside(*companions: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ``companions`` while the body runs.

    When the body ends, they are cancelled; what one of them raises cancels the body and is raised
    from here in its place.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(companion) for companion in companions]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as raised:
        raise first_of(raised) from None


async def all_of(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, in order; what the first to fail raises, once the rest are cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in work]
    except BaseExceptionGroup as raised:
        raise first_of(raised) from None
    return [task.result() for task in tasks]


def is_cancelled() -> bool:
    """Tell whether somebody wants the task that runs to end, so that a CancelledError is its own
    and not that of something it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first leaf of a group: the one that made the others be cancelled."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def limited(at_once: int, keys: Iterable[K], work: Callable[[K], Awaitable[T]]) -> dict[K, T]:
    """Return the result of ``work`` for each key, running at most ``at_once`` of them together."""
    turns = asyncio.Semaphore(at_once)

    async def one(key: K) -> tuple[K, T]:
        async with turns:
            return key, await work(key)

    return dict(await all_of(one(key) for key in keys))
