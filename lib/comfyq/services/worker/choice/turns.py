"""The order in which a worker claims waiting jobs: tenants take turns, a job each.

Within its turn a tenant's jobs go by priority and age, and by the models that ComfyUI holds. A
doorbell that comes says that some job waits; which one is claimed with it is chosen here, from an
index of the table.
"""

import math
import random
from collections.abc import Collection, Sequence
from functools import partial
from time import monotonic

from comfyq.domain.job import Job, JobId
from comfyq.ports.clock import Clock
from comfyq.records.indexes.ready_jobs import Waiting
from comfyq.records.job_items import lane_of
from comfyq.services.worker.choice.affinity import Affinity
from comfyq.services.worker.choice.ready_jobs import ReadyJobs

LIMITED_S = 1.0  # with a limit, doorbells that could not be obeyed are gone: workers look so often
HELD_BACK_S = 0.25  # and so often while a tenant at its limit has jobs waiting
ALONE_S = 0.5  # a tenant that waits alone is looked at so often: its doorbells have its order


class Turns:
    def __init__(
        self,
        *,
        ready: ReadyJobs,
        affinity: Affinity | None,
        clock: Clock,
        alone_s: float = ALONE_S,
    ) -> None:
        self._ready = ready
        self._affinity = affinity  # None: the models that ComfyUI holds do not count
        self._clock = clock
        self._alone_s = alone_s
        self._lane: str | None = None  # of the tenant that had its turn last
        self._alone_since = float("-inf")  # monotonic
        self.held_back = False  # jobs are left out because their tenant has as many as it may have

    def took(self, job: Job) -> None:
        """Note a job that this worker has claimed: its tenant has had its turn, and its models are
        loaded."""
        lane = lane_of(job.tenant)
        if lane != self._lane:
            self._lane, self._alone_since = lane, float("-inf")
        if self._affinity is not None:
            self._affinity.family = job.family
        self._ready.tried(job.id)

    @property
    def look_s(self) -> float:
        """Return how long a worker may wait for a doorbell before it looks at what waits."""
        if not self._ready.are_limited:
            return math.inf
        return HELD_BACK_S if self.held_back else LIMITED_S

    def tried(self, job_id: JobId) -> None:
        """Note a job that could not be claimed."""
        self._ready.tried(job_id)

    @property
    def passed_over(self) -> Sequence[JobId]:
        """Return the jobs that the last choice left out because this worker had just tried them:
        another worker has them, unless they were given back since."""
        return list(dict.fromkeys(self._ready.passed_over))

    async def choose(
        self, own: JobId | None = None, *, aside: Sequence[Waiting] = ()
    ) -> Sequence[Waiting]:
        """Return the job to claim next, and one to claim if another worker is faster.

        ``own`` is the job that a doorbell names: nothing is returned if it will do as well, which
        costs no read while one tenant's jobs of one model family and priority wait. ``aside`` are
        jobs that were set aside, which this worker is able to run.
        """
        self._ready.passed_over.clear()
        if await self._ready.are_plain() and not aside:
            jobs = await self._by_family(is_bell_spent=own is None)
        elif own is not None and monotonic() - self._alone_since < self._alone_s:
            return ()
        else:
            jobs = await self._by_tenant(aside)
            full: set[str] = set()
            while jobs and await self._ready.is_full(jobs[0].lane):
                full.add(jobs[0].lane)
                jobs = await self._by_tenant(aside, without=full)
            # Doorbells of what was left out are gone, so it goes on until nothing is found.
            self.held_back = bool(full or (self.held_back and jobs))
        if not jobs:
            return ()
        best = jobs[0]
        if self._affinity is not None:
            best = self._affinity.best(jobs, now=self._clock.now())
        if best.id == own:
            return ()
        # Who is slower than another worker goes on with its own doorbell's job if it is of this
        # turn, else with any: those that choose at once do not meet again.
        alike = [job for job in jobs if job.family == best.family and job is not best]
        is_own_turn = any(job.id == own for job in jobs)
        return [best] if is_own_turn or not alike else [best, random.choice(alike)]

    async def _by_family(self, *, is_bell_spent: bool) -> Sequence[Waiting]:
        """Return waiting jobs if some are of another family than the loaded one, or if the doorbell
        was another job's: then any job may have none of its own."""
        if self._affinity is None:
            return ()
        loaded, families = self._affinity.family, await self._ready.families()
        if is_bell_spent and len(families) > 1:
            return await self._ready.next_tenant(families, after=None)
        if loaded is None:
            return ()
        others = [family for family in families if family != loaded]
        if not others:
            return ()
        jobs = await self._ready.next_tenant(others, after=None)
        if not jobs:
            return ()
        return await self._ready.next_tenant([loaded], after=None, beside=jobs)

    async def _by_tenant(
        self, aside: Sequence[Waiting], *, without: Collection[str] = ()
    ) -> Sequence[Waiting]:
        """Return waiting jobs of the tenant whose turn it is, which has none of the lanes
        ``without``."""
        find = partial(
            self._ready.next_tenant, await self._ready.families(), beside=aside, without=without
        )
        jobs = await find(after=self._lane)
        if not jobs and self._lane is not None:
            jobs = await find(after=None)
            is_alone = all(job.lane == self._lane for job in jobs)
            if is_alone and len({(job.family, job.lead) for job in jobs}) == 1:
                self._alone_since = monotonic()
        return jobs
