"""What the reaper serves first, and how seldom it looks when nothing is due."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from comfyq.aio.tasks import beside
from comfyq.domain import job as jobs
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import Job
from comfyq.edges.reaper.handler import RESERVE_MS, ReaperHandler
from comfyq.edges.reaper.loop import reap_for_ever
from comfyq.records.indexes.due_jobs import ENDED
from comfyq.services.operations.deadlines import Deadlines
from tests.farm import Farm

pytestmark = pytest.mark.anyio

PERIOD_S = 1.0
QUOTA = 3  # of deletions of one shard in a round


@pytest.fixture(autouse=True)
def quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfyq.services.operations.reaper.DELETIONS", QUOTA)


class Context:
    """A Lambda function's context with the milliseconds that are left at each question."""

    def __init__(self, *left_ms: int) -> None:
        self._left_ms = iter(left_ms)

    def get_remaining_time_in_millis(self) -> int:
        return next(self._left_ms)


async def old_jobs(farm: Farm, count: int) -> list[Job]:
    """Store ended jobs whose followers were posted, due for deletion."""
    ended = []
    for _ in range(count):
        job = await farm.submit()
        job = await farm.records.update(job, jobs.request_cancel)
        await farm.announcer.announce_end(job)
        ended.append(job)
    farm.queue.messages.clear()
    farm.clock.advance(farm.services.retention.usual.total_seconds() + 1)
    return ended


async def lapsed(farm: Farm) -> Job:
    """Store a job whose worker is gone."""
    job = await farm.submit(queue_timeout_s=10**7)
    farm.queue.messages.clear()
    job = await farm.records.update(job, lambda job, now: jobs.ring(job, now=now))
    overdue = replace(job, due_at=farm.clock.now() + timedelta(seconds=5), version=job.version + 1)
    await farm.records.save(overdue)
    farm.clock.advance(6)
    return job


async def test_repairs_come_before_any_number_of_old_deletions(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old_jobs(farm, 6 * QUOTA)
    job = await lapsed(farm)
    order: list[str] = []
    ring, delete = farm.queue.send, farm.table.write

    async def sent(job_id: Any, **rest: Any) -> None:
        order.append("rung")
        await ring(job_id, **rest)

    async def written(*writes: Any, **rest: Any) -> None:
        order.extend(type(write).__name__ for write in writes)
        await delete(*writes, **rest)

    monkeypatch.setattr(farm.queue, "send", sent)
    monkeypatch.setattr(farm.table, "write", written)
    done = await farm.reaper.reap()
    assert [each.job_id for each in farm.queue.messages] == [job.id]
    assert order.index("rung") < order.index("Delete")
    assert 0 < done["deleted"] <= QUOTA * len(ENDED)


async def test_rounds_follow_until_nothing_is_due_or_the_time_is_over(farm: Farm) -> None:
    old = await old_jobs(farm, 6 * QUOTA)
    stopped = await farm.reaper.reap(lambda: False)
    assert 0 < stopped["deleted"] < len(old)
    rest = await farm.reaper.reap(lambda: True)
    assert stopped["deleted"] + rest["deleted"] == len(old)
    assert not await farm.reaper.reap(lambda: True)


async def test_jobs_that_cannot_be_settled_end_the_rounds(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old_jobs(farm, 6 * QUOTA)
    monkeypatch.setattr(farm.records, "remove", refuse)
    done = await farm.reaper.reap(lambda: True)
    assert set(done) == {"failed"}


async def test_what_is_rung_for_is_rung_once_however_much_time_there_is(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[str] = []

    async def ring() -> int:  # which changes nothing that it counts
        worked.append("rung")
        return 3

    async def expire() -> int:
        worked.append("expired")
        return 2 - worked.count("expired")

    monkeypatch.setattr(farm.reaper, "_upkeep", {"webhooks_rung": ring, "expired": expire})
    rounds = iter(range(10))
    done = await farm.reaper.reap(lambda: next(rounds) < 9)
    assert worked == ["rung", "expired", "expired"]
    assert done == {"webhooks_rung": 3, "expired": 1}


async def refuse(*_: object, **__: object) -> None:
    raise TableUnavailable("down")


async def test_the_function_goes_on_while_it_has_time(farm: Farm) -> None:
    old = await old_jobs(farm, 6 * QUOTA)
    handler = ReaperHandler(reaper=farm.reaper, keeper=None, submissions_dead=None)  # type: ignore[arg-type]
    short = await handler.handle({}, Context(RESERVE_MS))
    ample = await handler.handle({}, Context(*itertools.repeat(2 * RESERVE_MS, 20)))
    assert short["deleted"] < len(old) == short["deleted"] + ample["deleted"]


async def test_an_idle_reaper_reads_the_table_once_a_horizon_not_once_a_period(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    await farm.submit(queue_timeout_s=10**7)
    await farm.reaper.reap()
    passes = await counted_passes(farm, monkeypatch, seconds=60)
    assert passes <= 60 / PERIOD_S / 4


async def test_a_deadline_written_meanwhile_wakes_the_reaper(farm: Farm) -> None:
    deadlines = Deadlines(farm.clock)
    deadlines.note(farm.clock.now() + timedelta(days=1))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: deadlines.wait(most_s=3_600))
            await anyio.lowlevel.checkpoint()
            deadlines.note(farm.clock.now())


async def test_the_reaper_goes_on_soon_if_its_time_was_too_short(farm: Farm) -> None:
    await old_jobs(farm, 6 * QUOTA)
    await farm.reaper.reap(lambda: False)
    assert farm.reaper.deadlines.earliest == farm.clock.now()


async def test_the_wait_is_bounded_whatever_is_done_to_the_clock(farm: Farm) -> None:
    deadlines = Deadlines(farm.clock)
    deadlines.note(farm.clock.now() + timedelta(days=1))
    with anyio.fail_after(5):
        await deadlines.wait(most_s=0.01)  # the farm's clock stands still


async def test_what_is_stored_tells_its_deadline(farm: Farm) -> None:
    farm.services.deadlines.forget()
    job = await farm.submit()
    assert farm.services.deadlines.earliest == job.due_at


async def counted_passes(farm: Farm, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> int:
    """Run the loop over that many seconds of the farm's clock, and return how often it looked."""
    passes = 0
    real = farm.reaper.reap
    over = anyio.Event()
    ends = farm.clock.now() + timedelta(seconds=seconds)

    async def reap(may_go_on: Callable[[], bool]) -> Any:
        nonlocal passes
        passes += 1
        return await real(may_go_on)

    def slept(pause_s: float) -> Awaitable[None]:
        farm.clock.advance(pause_s)
        if farm.clock.now() >= ends:
            over.set()
        return anyio.lowlevel.checkpoint()

    monkeypatch.setattr(farm.reaper, "reap", reap)

    def waited(*, most_s: float) -> Awaitable[None]:
        earliest = farm.reaper.deadlines.earliest or ends
        return slept(max(0, min(most_s, (earliest - farm.clock.now()).total_seconds())))

    monkeypatch.setattr("comfyq.edges.reaper.loop.asyncio", SimpleNamespace(sleep=slept))
    monkeypatch.setattr(farm.reaper.deadlines, "wait", waited)
    with anyio.fail_after(30):
        async with beside(reap_for_ever(farm.reaper, period_s=PERIOD_S, lease_s=120)):
            await over.wait()
    return passes
