"""Every job that waits has a doorbell, whatever became of the one that was sent for it."""

from collections import Counter
from collections.abc import Collection, Coroutine, Iterator, Sequence
from random import Random
from typing import Any

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.errors import IllegalTransition, LeaseLost
from comfyq.domain.job import Job, JobId, JobStatus, WorkerId
from comfyq.records.workers import WorkerState
from comfyq.services.operations import lost_doorbells
from comfyq.services.operations.lost_doorbells import SETTLED_AFTER
from comfyq.services.worker.choice import ready_jobs
from comfyq.services.worker.held_job import HeldJob
from tests.farm import Farm
from tests.unit.services.worker.choice_lab import ALICE, BOB, CAROL, Claimer, waiting

pytestmark = pytest.mark.anyio

PASS_S = 60.0  # between two passes of the reaper, as on AWS
PASSES = 6  # a lease, then SETTLED_AFTER, and a pass for each rounded up
STEPS = ["send", "send", "claim", "claim", "end", "give back", "cancel", "kill", "stop", "lose"]
TENANTS, FAMILIES = (ALICE, BOB, CAROL), "abc"


@pytest.fixture(autouse=True)
def _no_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FAMILIES_S", "PLAIN_S"):
        monkeypatch.setattr(ready_jobs, name, 0)


async def rung(farm: Farm, count: int, **how: object) -> Sequence[Job]:
    """Store jobs whose doorbells are known to be sent."""
    sent = [await waiting(farm, **how) for _ in range(count)]  # type: ignore[arg-type]
    return [await farm.records.update(job, jobs.ring) for job in sent]


async def passes(farm: Farm, count: int) -> Counter[str]:
    """Let the reaper run so often; return what it did."""
    done: Counter[str] = Counter()
    for _ in range(count):
        farm.clock.advance(PASS_S)
        done += await farm.reaper.reap()
    return done


async def replaced(farm: Farm, count: int) -> int:
    """Let the reaper run so often; return how many doorbells it replaced."""
    return (await passes(farm, count))["replaced"]


async def test_lost_doorbells_are_replaced_and_do_not_multiply(farm: Farm) -> None:
    await rung(farm, 12)
    assert await replaced(farm, 5) == 0, "all are there"
    farm.queue.messages.clear()
    assert await replaced(farm, 1) == 12
    assert len({each.job_id for each in farm.queue.messages}) == 12
    assert await replaced(farm, 50) == 0


async def test_a_clock_that_is_set_back_stops_no_look(farm: Farm) -> None:
    lost = farm.services.lost_doorbells
    await rung(farm, 2)
    farm.clock.advance(3_600)
    assert await lost.ring() == 0, "all are there"
    farm.queue.messages.clear()
    farm.clock.advance(-1_800)
    assert await lost.ring() == 2


async def test_a_doorbell_that_may_not_be_counted_yet_is_waited_for(farm: Farm) -> None:
    await rung(farm, 3)
    farm.queue.messages.clear()
    farm.clock.advance(SETTLED_AFTER.total_seconds() - 1)
    assert not (await farm.reaper.reap())["replaced"]
    assert await replaced(farm, 1) == 3


async def test_one_look_sends_some_of_many(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_doorbells, "SENT_MOST", 10)
    await rung(farm, 12)
    farm.queue.messages.clear()
    assert await replaced(farm, 2) == 10
    assert await replaced(farm, 1) == 2
    assert await replaced(farm, 5) == 0


@pytest.fixture
def limited() -> Iterator[Farm]:
    farm = Farm(running_jobs=1)
    yield farm
    farm.spool.close()


async def test_a_tenant_at_its_limit_is_rung_for_once_its_worker_has_gone(limited: Farm) -> None:
    farm = limited
    await rung(farm, 4, tenant=ALICE)
    claimer = Claimer(farm, "w")
    while await claimer.claim() is not None or farm.queue.messages[1:]:
        pass
    assert len(farm.queue.messages) == 1, "of the held job; the others were dropped"
    await claimer.held[0].write(lambda job, *, now: jobs.start(job, token=1, now=now))
    await rung(farm, 1, tenant=BOB)
    assert await replaced(farm, 1) == 0, "its jobs cannot be claimed"
    await claimer.succeed()
    assert await replaced(farm, 3) == 3


class Story:
    """What clients, workers and the queue do, in some order."""

    def __init__(self, farm: Farm, seed: int) -> None:
        self.farm = farm
        self.seed, self.draw = seed, Random(seed)
        self.tenants = TENANTS[: 1 + seed % 3]
        self.families = FAMILIES[: 1 + seed // 3 % 3]
        self.workers = [Claimer(farm, f"w{number}") for number in range(3)]
        self.sent: list[Job] = []
        self.lapsed = 0  # leases of dead workers, whose jobs got a second doorbell

    async def step(self) -> None:
        match self.draw.choice(STEPS):
            case "send":
                await self._send()
            case "cancel" if self.sent:
                await self._cancel(self.draw.choice(self.sent))
            case "lose" if self.farm.queue.messages:
                self.farm.queue.messages.remove(self.draw.choice(self.farm.queue.messages))
            case step:
                await self._work(step, self.draw.randrange(len(self.workers)))
        if self.draw.random() < 0.1:
            await self.reap()

    async def everybody_leaves(self) -> None:
        for place in range(len(self.workers)):
            await self._leave(self.draw.choice(["kill", "stop"]), place)
        self.workers.clear()

    async def reap(self) -> None:
        self.farm.clock.advance(PASS_S)
        for worker in self.workers:
            for held in list(worker.held):
                if self.draw.random() < 0.9:  # otherwise it was frozen for too long
                    await self._unless_lost(worker, held, held._renew())
            await self.farm.services.workers.beat(self._state(worker), ttl_s=60)
        self.lapsed += (await self.farm.reaper.reap())["rung"]

    async def waiting(self) -> Collection[JobId]:
        stored = [await self.farm.records.get(job.id) for job in self.sent]
        assert all(job.lease is None for job in stored)
        return {job.id for job in stored if job.status is JobStatus.QUEUED}

    async def check(self) -> None:
        """Judge the doorbells that are there while no worker is."""
        waiting = await self.waiting()
        rings = [message.job_id for message in self.farm.queue.messages]
        assert len(rings) >= len(waiting), self.seed
        named = sum(job_id in waiting for job_id in rings)
        assert named <= 2 * len(waiting) + self.lapsed, self.seed

    async def _send(self) -> None:
        self.sent += await rung(
            self.farm,
            1,
            family=self.draw.choice(self.families),
            tenant=self.draw.choice(self.tenants),
            priority=self.draw.choice([5, 5, 9]),
        )

    async def _cancel(self, job: Job) -> None:
        await self.farm.records.update(await self.farm.records.get(job.id), jobs.request_cancel)

    async def _work(self, step: str, place: int) -> None:
        worker = self.workers[place]
        if step == "claim" and len(worker.held) < 2:
            await worker.claim()
        elif step == "end" and worker.held:
            await self.end(worker)
        elif step == "give back" and worker.held:
            await self._give_back(worker, self.draw.choice([0.0, 0.0, 90.0]))
        elif step in ("kill", "stop"):
            await self._leave(step, place)

    async def end(self, worker: Claimer) -> None:
        held = worker.held[0]
        if (await held.stored()).cancel_requested:
            await self._give_back(worker, 0)
        else:
            await self._unless_lost(worker, held, worker.succeed())

    async def _give_back(self, worker: Claimer, retry_s: float) -> None:
        await self._unless_lost(worker, worker.held[0], worker.give_back(retry_s))

    async def _unless_lost(
        self, worker: Claimer, held: HeldJob, work: Coroutine[Any, Any, None]
    ) -> None:
        try:
            await work
        except (LeaseLost, IllegalTransition):
            worker.claims.let_go(held)
            worker.held = [each for each in worker.held if each is not held]

    async def _leave(self, how: str, place: int) -> None:
        """End a worker in order, or in the midst of its work; another one comes."""
        while how == "stop" and self.workers[place].held:
            await self._give_back(self.workers[place], 0)
        self.workers[place] = Claimer(self.farm, f"w{self.draw.random()}")

    def _state(self, worker: Claimer) -> WorkerState:
        now = self.farm.clock.now()
        return WorkerState(
            id=WorkerId(str(id(worker))),
            pid=1,
            host="gpu",
            version="1",
            engine_ok=True,
            jobs=tuple(held.id for held in worker.held),
            seen_at=now,
            started_at=now,
        )


@pytest.mark.parametrize(
    "seeds",
    [range(8), pytest.param(range(8, 1_000), marks=pytest.mark.verify)],
    ids=["some", "thousand"],
)
async def test_when_all_workers_are_gone_each_waiting_job_has_a_doorbell(seeds: range) -> None:
    for seed in seeds:
        farm = Farm()
        story = Story(farm, seed)
        for _ in range(story.draw.randint(10, 50)):
            await story.step()
        await story.everybody_leaves()
        for count in (PASSES, 20):
            story.lapsed += (await passes(farm, count))["rung"]
            await story.check()
        await _all_end(farm, story)


async def _all_end(farm: Farm, story: Story) -> None:
    """Let a worker come that is alone: it ends whatever waits."""
    worker = Claimer(farm, "last")
    for _ in range(4 * len(story.sent) + 1):
        while await worker.claim() is not None:
            await story.end(worker)
        if not await story.waiting():
            return
        await passes(farm, 1)
    raise AssertionError("a job waits for ever")
