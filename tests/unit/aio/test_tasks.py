"""Work for many keys on one event loop."""

import asyncio
from itertools import pairwise

import pytest

from comfyq.aio.tasks import limited

pytestmark = pytest.mark.anyio


async def test_others_have_the_loop_between_pieces_of_work_that_never_wait() -> None:
    served: list[int] = []
    done: list[int] = []

    async def other() -> None:
        while True:
            served.append(len(done))
            await asyncio.sleep(0)

    async def work(key: int) -> int:
        done.append(key)
        return -key

    beside = asyncio.create_task(other())
    results = await limited(4, range(1_000), work)
    beside.cancel()

    assert results == {key: -key for key in range(1_000)}
    assert list(results) == list(range(1_000))
    assert max(after - before for before, after in pairwise(served)) <= 4


async def test_at_most_so_many_run_together() -> None:
    running, most = 0, 0

    async def work(_: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await limited(3, range(20), work)

    assert most == 3


async def test_a_failure_ends_the_work_for_other_keys() -> None:
    begun: list[int] = []

    async def work(key: int) -> None:
        begun.append(key)
        if key == 2:
            raise ValueError(key)
        await asyncio.sleep(0)

    with pytest.raises(ValueError, match="2"):
        await limited(2, range(100), work)

    assert len(begun) < 10
