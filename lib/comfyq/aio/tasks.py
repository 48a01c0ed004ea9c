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

    When the body ends, the companions are canceled. If a companion raises, the body is canceled and
    the companion's exception is raised instead.
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
    """Return all results in order; if one fails, cancel the others and raise its exception."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in work]
    except BaseExceptionGroup as raised:
        raise first_of(raised) from None
    return [task.result() for task in tasks]


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first leaf of a group: the exception for which the others were canceled."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def limited(at_once: int, keys: Iterable[K], work: Callable[[K], Awaitable[T]]) -> dict[K, T]:
    """Return the result of ``work`` for each key, running at most ``at_once`` of them together.

    Others have the event loop in between, even if ``work`` never waits.
    """
    keys = list(keys)
    if len(keys) <= 1:  # most jobs have one output: it needs no task of its own
        return {key: await work(key) for key in keys}
    waiting, results = iter(keys), dict[K, T]()

    async def take() -> None:
        for key in waiting:
            results[key] = await work(key)
            await asyncio.sleep(0)

    await all_of(take() for _ in range(min(at_once, len(keys))))
    return {key: results[key] for key in keys}


async def failures(
    at_once: int,
    keys: Iterable[K],
    work: Callable[[K], Awaitable[object]],
    expected: tuple[type[Exception], ...],
) -> dict[K, Exception]:
    """Run ``work`` for each key, at most ``at_once`` of them together; return those exceptions of
    an ``expected`` kind that it raised, by key."""

    async def tried(key: K) -> Exception | None:
        try:
            await work(key)
        except expected as failure:
            return failure
        return None

    results = await limited(at_once, keys, tried)
    return {key: failure for key, failure in results.items() if failure is not None}
