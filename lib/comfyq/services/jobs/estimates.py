"""Estimates of a waiting job's position among its tenant's jobs and of the time until it ends.

Their cost grows neither with the queue nor with the number of requests: of each family at most
AHEAD waiting jobs of the tenant are read, and of each worker HELD jobs, and the results are cached
for some seconds. Jobs further back have no position, and no job has one while there are more than
FAMILIES families. Of other tenants' jobs an estimate shows nothing but roughly how many tenants
take turns: run times are those of the tenant's own jobs, and where there are several tenants each
worker counts as if it held one job.
"""

import math
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from comfyq.aio.cached import Cached
from comfyq.aio.tasks import all_of
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import DomainError, JobNotFound
from comfyq.domain.job import Job, JobId, JobStatus, WorkerId
from comfyq.domain.job.estimate import NOTHING, Estimate, left_of_run, until_end
from comfyq.domain.job.order import rank
from comfyq.domain.job.progress import Provisioning
from comfyq.ports.clock import Clock
from comfyq.records.demand import DemandRecords
from comfyq.records.indexes.followed_jobs import ANY_WORKER
from comfyq.records.indexes.ready_jobs import ReadyRecords
from comfyq.records.job_items import end_of
from comfyq.records.jobs import JobRecords
from comfyq.records.limits.running_jobs import RunningJobs
from comfyq.records.run_times import RunTimeRecords
from comfyq.records.times import EPOCH
from comfyq.records.workers import (
    WorkerRecords,
    WorkerState,
    absence_of,
    foreign_delay_of,
    obstacle_of,
)

AHEAD = 100  # waiting jobs that are read of a family
FAMILIES = 40  # families that are read; each costs a query
FRONT_S = 3.0  # maximum age of the cached front of the queue
WORKERS_S = 5.0
USUAL_S = 30.0
USUAL = 5_000  # workflows of tenants whose run times are remembered

TENANTS = 1_000  # whose fronts are remembered
TURNS = 8  # tenants that are counted
WORKERS = 1_000  # whose running jobs are remembered
HELD = 5  # jobs of a worker that are read to find those that run

NEXT = "the end of the job of yours that its worker runs; it is the next one there"

K = TypeVar("K")
V = TypeVar("V")

Place = tuple[datetime, JobId]  # rank, id: the order in which a tenant's jobs are claimed


@dataclass(frozen=True, slots=True)
class Front:
    """A tenant's jobs that will be claimed next."""

    places: Sequence[Place]  # in order
    is_held_back: bool  # the tenant has as many jobs with workers as it may have
    seen_upto: Place | None  # jobs behind this place were not all read; None: these are all

    def ahead_of(self, place: Place) -> int | None:
        """Count the jobs that wait before ``place``; None if it is behind ``seen_upto``."""
        if self.seen_upto is not None and place > self.seen_upto:
            return None
        return self.seen_before(place)

    def seen_before(self, place: Place) -> int:
        """Count those jobs that wait before ``place`` which were read; there may be more."""
        return bisect_left(self.places, place)


UNSEEN = Front([], is_held_back=False, seen_upto=(EPOCH, JobId("")))


class Estimates:
    def __init__(
        self,
        *,
        ready: ReadyRecords,
        demand: DemandRecords,
        workers: WorkerRecords,
        run_times: RunTimeRecords,
        jobs: JobRecords,
        clock: Clock,
        running: RunningJobs | None = None,
        front_s: float = FRONT_S,
    ) -> None:
        self._ready = ready
        self._demand = demand
        self._run_times = run_times
        self._jobs = jobs
        self._clock = clock
        self._running = running  # None: tenants are not limited
        self._front_s = front_s
        self._fronts: dict[TenantId, Cached[Front]] = {}
        self._running_on: dict[WorkerId, Cached[Sequence[Job]]] = {}
        self._tenants = Cached(self._count_tenants, max_age_s=front_s)
        self._workers = workers
        self._known_workers = Cached(workers.known, max_age_s=WORKERS_S)
        self._known_tenants = Cached(demand.tenants, max_age_s=front_s)
        self._usual: dict[tuple[TenantId, str], Cached[float | None]] = {}

    async def estimate(self, job: Job) -> Estimate:
        """Estimate a job's position and end: NOTHING, without a read, for a job that has ended,
        and NOTHING if the table does not answer."""
        try:
            if job.status is JobStatus.RUNNING:
                return Estimate(eta_s=await self._left_of_run(job))
            if job.is_aside:
                return NOTHING  # nobody knows when a worker that is able to run it comes
            if job.status is JobStatus.QUEUED:
                return await (self._of_claimed(job) if job.lease else self._of_waiting(job))
        except DomainError:
            pass  # an estimate is an addition: the answer about the job itself must not fail
        return NOTHING

    async def obstacle(self) -> str | None:
        """Return what every waiting job waits for, other than its turn; None if nothing."""
        live = await self._live()
        return _obstacle(live) if live else _no_worker(absence_of(await self._known_workers.get()))

    async def reasons(self) -> Mapping[str, str]:
        """Return what jobs wait for, other than their turn: under a worker's id those that it
        holds, under ANY_WORKER all others; only where there is a reason."""
        reasons: dict[str, str | None] = {ANY_WORKER: await self.obstacle()}
        reasons |= {str(each.id): _obstacle([each]) for each in await self._live()}
        return {key: reason for key, reason in reasons.items() if reason is not None}

    async def _of_waiting(self, job: Job) -> Estimate:
        front, workers = await self._front_of(job.tenant), await self._live()
        waits_for = await self.obstacle()
        if waits_for is None and front.is_held_back and self._running is not None:
            waits_for = _own_jobs(await self._running.most_of(job.tenant))
        place = rank(job), job.id
        ahead = front.ahead_of(place)
        if ahead is None:
            return Estimate(position_above=front.seen_before(place) or None, waits_for=waits_for)
        free = [worker for worker in workers if worker.takes_jobs and not worker.foreign_prompts]
        held = await self._reckoned([len(worker.jobs) for worker in free])
        eta_s = None if waits_for else await self._until_end(job, ahead=ahead, held=held)
        return Estimate(eta_s=eta_s, queue_position=ahead + 1, waits_for=waits_for)

    async def _of_claimed(self, job: Job) -> Estimate:
        """Estimate for a claimed job: only its worker's other jobs may be ahead of it."""
        assert job.lease is not None, "the caller looked"
        holders = [each for each in await self._live() if each.id == job.lease.worker]
        others = [each for holder in holders for each in holder.jobs if each != job.id]
        waits_for = _obstacle(holders) if holders else None
        if waits_for is not None:
            return Estimate(queue_position=0, waits_for=waits_for)
        if job.progress.provisioning is not None:
            return await self._of_provisioned(job, job.progress.provisioning)
        running = await self._remembered(
            self._running_on, job.lease.worker, self._look_at, most=WORKERS, max_age_s=self._front_s
        )
        own = next((each for each in running if each.tenant == job.tenant), None)
        if own is None:  # another's runs, of which nothing is told
            held = await self._reckoned([len(others)] * len(holders))
            return Estimate(await self._until_end(job, ahead=0, held=held), queue_position=0)
        left_s, after_s = await self._left_of_run(own), await self._usual_s(job)
        eta_s = None if left_s is None or after_s is None else left_s + math.ceil(after_s)
        return Estimate(eta_s, queue_position=0, waits_for=NEXT)

    async def _of_provisioned(self, job: Job, at: Provisioning) -> Estimate:
        """Estimate for a job whose worker fetches its models."""
        after_s = await self._usual_s(job)
        is_known = at.eta_s is not None and after_s is not None
        eta_s = (at.eta_s or 0) + math.ceil(after_s or 0) if is_known else None
        return Estimate(eta_s, queue_position=0)

    async def _look_at(self, worker: WorkerId) -> Sequence[Job]:
        """Read the jobs of a worker that run."""
        held = [job_id for each in await self._live() if each.id == worker for job_id in each.jobs]
        running: list[Job] = []
        for job_id in held[:HELD]:
            with suppress(JobNotFound):  # deleted since the worker was heard of
                job = await self._jobs.get(job_id)
                if job.status is JobStatus.RUNNING:
                    running.append(job)
        return running

    async def _left_of_run(self, job: Job) -> int | None:
        usual_s = await self._usual_s(job)
        return left_of_run(job, usual_s=usual_s, now=self._clock.now())

    async def _live(self) -> Sequence[WorkerState]:
        return self._workers.alive(await self._known_workers.get())

    async def _until_end(self, job: Job, *, ahead: int, held: Sequence[int]) -> int | None:
        usual_s = await self._usual_s(job)
        if usual_s is None:
            return None
        tenants = 1 if job.lease else await self._tenants.get()
        wait = job.not_before - self._clock.now() if job.not_before else timedelta(0)
        pause_s = wait / timedelta(seconds=1)
        return until_end(usual_s=usual_s, ahead=ahead, held=held, pause_s=pause_s, tenants=tenants)

    async def _reckoned(self, held: Sequence[int]) -> Sequence[int]:
        """Return how many jobs each worker counts as holding: what it holds, unless these may be
        others' jobs."""
        return held if await self._has_one_tenant() else [1] * len(held)

    async def _has_one_tenant(self) -> bool:
        return len(await self._known_tenants.get()) < 2

    async def _usual_s(self, job: Job) -> float | None:
        """Return how long the tenant's jobs of the same workflow usually run."""

        async def read(runs: tuple[TenantId, str]) -> float | None:
            return await self._run_times.usual_s(*runs)

        runs = job.tenant, job.workflow
        return await self._remembered(self._usual, runs, read, most=USUAL, max_age_s=USUAL_S)

    async def _front_of(self, tenant: TenantId) -> Front:
        return await self._remembered(
            self._fronts, tenant, self._look, most=TENANTS, max_age_s=self._front_s
        )

    async def _remembered(
        self,
        known: dict[K, Cached[V]],
        key: K,
        look: Callable[[K], Awaitable[V]],
        *,
        most: int,
        max_age_s: float,
    ) -> V:
        """Return what is known of a key, or look; of ``most`` keys at a time."""
        if key not in known:
            while len(known) >= most:
                known.pop(next(iter(known)))
            known[key] = Cached(partial(look, key), max_age_s=max_age_s)
        return await known[key].get()

    async def _look(self, tenant: TenantId) -> Front:
        families = await self._demand.families()
        if len(families) > FAMILIES:
            return UNSEEN
        pages = await all_of(
            self._ready.of_tenant(family, tenant, limit=AHEAD) for family in families
        )
        ends = [page[-1].place for page in pages if len(page) == AHEAD]
        places = sorted(waiting.place for page in pages for waiting in page)
        is_held_back = self._running is not None and await self._running.are_full(tenant)
        return Front(places, is_held_back, seen_upto=min(ends, default=None))

    async def _count_tenants(self) -> int:
        """Return roughly how many tenants' jobs wait: the power of two below, at most TURNS, so
        that nobody learns of another one when it comes and goes."""
        if await self._has_one_tenant():
            return 1
        lanes: set[str] = set()
        reads = 0
        for family in await self._demand.families():
            key: str | None = None
            while len(lanes) < TURNS and reads < 2 * TURNS:
                reads += 1
                found = await self._ready.beyond(family, key, limit=1)
                if not found:
                    break
                lanes.add(found[0].lane)
                key = end_of(found[0].lane)
        return 1 << max(0, len(lanes).bit_length() - 1)


def _own_jobs(most: int) -> str:
    return f"the end of another job of yours: {most} at once may be with workers"


def _obstacle(live: Sequence[WorkerState]) -> str | None:
    if (obstacle := obstacle_of(live)) is not None:
        return _no_worker(obstacle)
    return foreign_delay_of(live)


def _no_worker(obstacle: str) -> str:
    return f"a worker that takes jobs: {obstacle}"
