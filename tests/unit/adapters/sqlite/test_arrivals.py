"""Each message wakes one receiver of this process that nothing has woken yet."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyq.adapters.sqlite.arrivals import Arrivals
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

RECEIVERS = 6


@pytest.fixture
def arrivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arrivals]:
    monkeypatch.setattr("comfyq.adapters.sqlite.arrivals.LOOK_S", 60.0)
    arrivals = Arrivals(tmp_path / "wake")
    yield arrivals
    arrivals.close()


@pytest.fixture
async def receivers(arrivals: Arrivals) -> list[asyncio.Task[None]]:
    await arrivals.wait("jobs", since=-1, timeout_s=60)  # the first one makes the pipe
    waits = [arrivals.wait("jobs", since=0, timeout_s=60) for _ in range(RECEIVERS)]
    tasks = [asyncio.create_task(wait) for wait in waits]
    await until(lambda: len(arrivals._waiting) == RECEIVERS)
    return tasks


async def woken(receivers: list[asyncio.Task[None]]) -> int:
    for _ in range(5):
        await asyncio.sleep(0)
    return sum(task.done() for task in receivers)


async def test_messages_sent_together_wake_as_many_receivers(
    arrivals: Arrivals, receivers: list[asyncio.Task[None]]
) -> None:
    arrivals.note("jobs", 4)
    assert await woken(receivers) == 4
    arrivals.note("jobs", 4)
    assert await woken(receivers) == RECEIVERS


async def test_messages_sent_at_once_each_wake_another_receiver(
    arrivals: Arrivals, receivers: list[asyncio.Task[None]]
) -> None:
    for _ in range(RECEIVERS):
        arrivals.note("jobs")
    assert await woken(receivers) == RECEIVERS


async def test_a_receiver_that_is_canceled_once_it_was_woken_wakes_another(
    arrivals: Arrivals, receivers: list[asyncio.Task[None]]
) -> None:
    arrivals.note("jobs")
    for task in receivers[1:]:
        task.cancel()  # the one that was woken, or all others
    assert await woken(receivers[:1]) == 1
    assert await woken(receivers) == RECEIVERS


async def test_messages_of_another_topic_wake_nobody(
    arrivals: Arrivals, receivers: list[asyncio.Task[None]]
) -> None:
    arrivals.note("other", 9)
    assert await woken(receivers) == 0
    for task in receivers:
        task.cancel()
    assert await woken(receivers) == RECEIVERS
