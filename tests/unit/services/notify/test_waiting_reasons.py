"""Followers of queued jobs are told when what these wait for has changed, and nobody else is."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain import job as jobs
from comfyq.domain.job import JobId, WorkerId
from comfyq.domain.job.estimate import Estimate
from comfyq.ports.notifier import Connection
from comfyq.ports.table import Page
from comfyq.records.indexes.followed_jobs import ANY_WORKER, FollowedJobRecords
from comfyq.records.subscriptions import FOLLOW_S
from comfyq.services.notify.waiting_reasons import WaitingReasons
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.followed_jobs import FollowedJobs

pytestmark = pytest.mark.anyio

SOCKET = Connection("c1=", "https://ws.example/live")


class Lab:
    def __init__(self) -> None:
        self.notifier = MemoryNotifier()
        self.world = FollowedJobs(self.notifier)
        self.followed = FollowedJobRecords(self.world.table)
        self.reasons: Mapping[str, str] = {}
        self.waiting = WaitingReasons(
            followed=self.followed,
            records=self.world.records,
            announcer=self.world.announcer,
            reasons=self.told,
            clock=self.world.clock,
        )

    async def told(self) -> Mapping[str, str]:
        return self.reasons

    async def follow(self, *names: str) -> None:
        await self.world.subscriptions.connect(SOCKET, OWNER, base_url="")
        connected = await self.world.subscriptions.connected(SOCKET.id)
        for name in names:
            await self.world.subscriptions.subscribe(connected, JobId(name))
        self.world.clock.advance(1)
        self.notifier.posts.clear()

    async def pushed(self, **reasons: str) -> list[tuple[str, str | None]]:
        """Push with these reasons; return which jobs' frames were posted, with what reason."""
        self.reasons = {ANY_WORKER if key == "any" else key: text for key, text in reasons.items()}
        self.world.estimate = Estimate(waits_for=reasons.get("any"))
        self.notifier.posts.clear()
        count = await self.waiting.push()
        frames = self.notifier.frames(SOCKET.id)
        assert count == len(frames)
        return sorted((frame["job_id"], frame["waits_for"]) for frame in frames)

    async def listed(self) -> list[str]:
        return [each.id for each in (await self.followed.page()).jobs]


@pytest.fixture
def lab() -> Lab:
    return Lab()


async def test_a_changed_reason_is_posted_once(lab: Lab) -> None:
    await lab.world.submitted("a")
    await lab.follow("a")
    assert await lab.pushed(any="no worker") == [("a", "no worker")]
    assert await lab.pushed(any="no worker") == []
    assert await lab.pushed(any="paused") == [("a", "paused")]
    assert await lab.pushed() == [("a", None)]
    assert await lab.pushed() == []


async def test_who_came_about_the_time_of_a_change_is_told_once_more(lab: Lab) -> None:
    """The frame at its subscription may be of a process that knew an older state of workers."""
    await lab.world.submitted("a")
    await lab.world.submitted("b")
    await lab.follow("a")
    assert await lab.pushed(any="no worker") == [("a", "no worker")]
    await lab.follow("b")
    assert await lab.pushed(any="no worker") == [("b", "no worker")]
    assert await lab.pushed(any="no worker") == []


async def test_a_claimed_job_hears_of_its_own_worker_alone(lab: Lab) -> None:
    for name, worker in (("a", "w1"), ("b", "w2")):
        job = await lab.world.submitted(name)
        now = lab.world.clock.now()
        claimed = jobs.claim(job, worker=WorkerId(worker), now=now, ttl=timedelta(seconds=60))
        await lab.world.records.save(claimed)
    await lab.world.submitted("c")
    await lab.follow("a", "b", "c")
    assert [name for name, _ in await lab.pushed(w2="paused")] == ["b"]
    assert [name for name, _ in await lab.pushed(any="x", w2="paused")] == ["a", "b", "c"]


async def test_running_jobs_are_told_nothing_and_ended_ones_are_no_longer_listed(lab: Lab) -> None:
    running, ends = await lab.world.running("a"), await lab.world.running("b")
    deleted = await lab.world.submitted("c")
    await lab.follow("a", "b", "c")
    await lab.world.succeed(ends)
    await lab.world.records.remove(deleted)
    assert await lab.pushed(any="no worker") == []
    assert await lab.listed() == [running.id]


async def test_what_nobody_can_follow_any_more_is_not_listed(lab: Lab) -> None:
    await lab.world.succeed(await lab.world.running("b"))
    await lab.world.submitted("a")
    await lab.follow("b", "a")
    assert await lab.listed() == ["a"], "b had ended"
    lab.world.clock.advance(FOLLOW_S + 1)
    assert await lab.pushed(any="no worker") == []
    assert await lab.listed() == []


async def test_all_pages_are_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfyq.records.indexes.followed_jobs.PAGE", 2)
    names = [f"job-{number}" for number in range(5)]
    for name in names:
        await lab.world.submitted(name)
    await lab.follow(*names)
    assert [name for name, _ in await lab.pushed(any="x")] == names


async def test_a_push_that_breaks_off_is_made_up_for(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lab.world.submitted("a")
    await lab.follow("a")

    async def breaks(job: object) -> bool:
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as patched:
        patched.setattr(lab.world.announcer, "announce", breaks)
        with pytest.raises(RuntimeError):
            await lab.pushed(any="x")
    assert await lab.pushed(any="x") == [("a", "x")]


async def test_jobs_that_nobody_follows_cost_nothing(lab: Lab) -> None:
    for number in range(30):
        await lab.world.submitted(f"job-{number:02}")
    reads = count_reads(lab)
    await lab.pushed(any="x")
    assert reads == ["main FOLLOWED"]
    await lab.follow("job-07")
    reads.clear()
    await lab.pushed(any="x")
    assert [read for read in reads if read.startswith("JOB#")] == ["JOB#job-07"]
    await lab.pushed(any="x")
    reads.clear()
    await lab.pushed(any="x")
    assert reads == ["main FOLLOWED", "FOLLOWED"]


def count_reads(lab: Lab) -> list[str]:
    """Note which partitions are read from now on."""
    reads: list[str] = []
    table = lab.world.table
    query, get = table.query, table.get

    async def queried(index: str, partition: str, **how: Any) -> Page:
        reads.append(f"{index} {partition}")
        return await query(index, partition, **how)

    async def got(key: tuple[str, str]) -> Any:
        reads.append(key[0])
        return await get(key)

    table.query, table.get = queried, got  # type: ignore[method-assign]
    return reads
