"""Reading the jobs that any worker may claim, a tenant at a time."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from time import monotonic

from comfyq.aio.cached import Cached
from comfyq.aio.tasks import all_of
from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.records.demand import DemandRecords
from comfyq.records.indexes.ready_jobs import ReadyRecords, Waiting
from comfyq.records.job_items import BEFORE_LAST, LAST, end_of, tenant_of
from comfyq.records.limits.running_jobs import RunningJobs

FAMILIES_S = 5.0  # maximum age of the cached list of families
PLAIN_S = 1.0  # so late a worker may see that a second tenant's jobs come
PAGE = 10  # jobs that are read of a family: as many workers may look at once and not meet
MORE = 100  # that are read at once after a page of jobs that wait for their retries
MORE_PAGES = 10  # so many such pages of a tenant before its other jobs are left to a later look
TRIED_S = 2.0  # a job that this worker tried to claim may be listed for that long after it


class ReadyJobs:
    """Find waiting jobs by tenant and model family; a look reads PAGE jobs of a family,
    and more only past jobs that cannot be claimed yet."""

    def __init__(
        self,
        *,
        ready: ReadyRecords,
        demand: DemandRecords,
        clock: Clock,
        running: RunningJobs | None = None,
    ) -> None:
        self._ready = ready
        self._demand = demand
        self._families = Cached(demand.families, max_age_s=FAMILIES_S)
        self._plain = Cached(self._look, max_age_s=PLAIN_S)
        self._may_have_old = True  # jobs that a version without lanes has stored
        self._clock = clock
        self._running = running  # None: tenants are not limited
        self._tried = OrderedDict[JobId, float]()  # the oldest first
        self.passed_over: list[JobId] = []  # left out since this was cleared, as they were tried

    async def families(self) -> Sequence[str]:
        """Return the families that jobs have asked for."""
        return await self._families.get()

    async def are_plain(self) -> bool:
        """Return whether jobs are to be claimed in the order of their doorbells."""
        return self._running is None and await self._plain.get()

    @property
    def are_limited(self) -> bool:
        """Return whether there is a limit on a tenant's jobs with workers."""
        return self._running is not None

    async def is_full(self, lane: str) -> bool:
        """Return whether a tenant has as many jobs with workers as it may have."""
        tenant = tenant_of(lane)
        return (
            self._running is not None
            and tenant is not None
            and await self._running.are_full(tenant)
        )

    async def _look(self) -> bool:
        if self._may_have_old:
            old = [
                await self._ready.beyond(family, end_of(BEFORE_LAST), limit=1)
                for family in await self.families()
            ]
            self._may_have_old = any(old)
        return not self._may_have_old and await self._demand.is_plain()

    def tried(self, job_id: JobId) -> None:
        """Leave a job out for a while: the index lags behind what its claim has shown."""
        now = monotonic()
        self._tried[job_id] = now
        self._tried.move_to_end(job_id)
        while self._tried and now - next(iter(self._tried.values())) >= TRIED_S:
            self._tried.popitem(last=False)

    async def next_tenant(
        self,
        families: Iterable[str],
        *,
        after: str | None,
        beside: Iterable[Waiting] = (),
        without: Collection[str] = (),
    ) -> list[Waiting]:
        """Return claimable jobs of the first lane after ``after`` (None: of all) that has one, in
        order; ``beside`` are others than the index lists, and lanes ``without`` are left out."""
        found = [job for job in beside if after is None or job.lane > after]
        found = [job for job in found if job.lane not in without and self._is_claimable(job)]
        pages = await all_of(self._of_family(family, after, without) for family in families)
        found += chain.from_iterable(pages)
        lane = min((job.lane for job in found), default=None)
        return sorted((job for job in found if job.lane == lane), key=lambda job: job.place)

    async def _of_family(
        self, family: str, lane: str | None, without: Collection[str]
    ) -> Sequence[Waiting]:
        key = None if lane is None else end_of(lane)
        limit, pages = PAGE, 0
        while True:
            page = await self._ready.beyond(family, key, limit=limit)
            claimable = [job for job in page if job.lane not in without and self._is_claimable(job)]
            if claimable or len(page) < limit:
                return claimable
            last = page[-1]
            pages = pages + 1 if page[0].lane == last.lane else 1
            is_passed = last.lane in (LAST, *without) or pages > MORE_PAGES
            key, limit = (end_of(last.lane) if is_passed else last.key), MORE

    def _is_claimable(self, job: Waiting) -> bool:
        if job.since > self._clock.now():
            return False
        if monotonic() - self._tried.get(job.id, float("-inf")) >= TRIED_S:
            return True
        self.passed_over.append(job.id)
        return False
