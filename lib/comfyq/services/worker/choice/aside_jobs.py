"""Taking up jobs that were set aside, once this worker is able to run them.

They need no doorbell; the reaper sends one after ten minutes or more, to start workers where none
is. Each worker reads through them once, and again when its ComfyUI's catalogue has changed, it has
ended to fetch a job's models, or a worker that it left jobs to has gone; then only what was set
aside since, and what was left for a time that is over.
"""

import asyncio
import math
from collections.abc import Callable, Collection
from datetime import timedelta
from time import monotonic

from comfyq.aio.interrupt import Interrupt
from comfyq.aio.logs import log
from comfyq.aio.rhythm import beat
from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError, IllegalTransition, JobNotFound
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.ports.table import Cursor
from comfyq.records.indexes.aside_jobs import AsideRecords
from comfyq.records.indexes.ready_jobs import Waiting, waiting
from comfyq.records.jobs import JobRecords
from comfyq.services.worker.capabilities import Capabilities, Unsuited

LOOK_S = 2.0
PAGE = 100
LAG = timedelta(seconds=10)  # of the index, and between the clocks of those that set jobs aside
MOST = 1_000  # jobs that are kept in mind until this worker has room for them
DEFECT_AGAIN_S = 600.0  # after which a job is judged again that met a defect
ALL_AGAIN_S = 120.0  # after which everything is judged again, if more than MOST are to be


class AsideJobs:
    """Find the jobs set aside that this worker's ComfyUI is able to run."""

    def __init__(
        self,
        *,
        aside: AsideRecords,
        records: JobRecords,
        capabilities: Capabilities,
        clock: Clock,
        look_s: float = LOOK_S,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._aside = aside
        self._records = records
        self._capabilities = capabilities
        self._clock = clock
        self._look_s = look_s
        self._now_s = now_s
        self._catalogue: NodeCatalogue | None = None
        self._changes = 0
        self._after: Cursor | None = None
        self._judged: set[JobId] = set()  # those behind ``_after``
        self._suited: dict[JobId, Waiting] = {}
        self._unclaimed: set[JobId] = set()  # found, but claiming them failed
        self._again: dict[JobId, float] = {}  # when those are judged again that may suit by then
        self._all_again_at_s = math.inf
        self.found = Interrupt()  # of waits for doorbells; set while ``oldest`` has a job to return

    @property
    def waiting(self) -> Collection[Waiting]:
        """Return the jobs that were found."""
        return self._suited.values()

    def oldest(self) -> Waiting | None:
        """Return the first of the jobs that were found."""
        return min(self._suited.values(), key=lambda job: job.place, default=None)

    def take(self, job: Waiting) -> None:
        """Take out a found job that is about to be claimed."""
        self._suited.pop(job.id, None)
        if not self._suited:
            self.found.clear()

    def give_back(self, job: Waiting) -> None:
        """Let the next look find a job again that could not be claimed, if it is aside still."""
        self._unclaimed.add(job.id)

    async def run(self) -> None:
        """Look every ``look_s`` until canceled."""
        while True:
            try:
                await self.look()
            except DomainError as away:
                log.warning("aside_look_failed", reason=str(away))
            await beat(self._look_s)

    async def look(self) -> None:
        """Judge what was set aside since the last look; everything after a change."""
        await self._capabilities.note_others()
        catalogue, changes = self._capabilities.catalogue, self._capabilities.changes
        has_changed = catalogue is not self._catalogue or changes != self._changes
        if has_changed or self._now_s() >= self._all_again_at_s:
            self._catalogue, self._changes, self._after = catalogue, changes, None
            self._judged.clear()
            self._again.clear()
            self._all_again_at_s = math.inf
        if self._catalogue is None:
            return
        for job_id in list(self._unclaimed):
            await self._judge(job_id)
            self._unclaimed.remove(job_id)
        await self._judge_left()
        await self._judge_new()

    async def _judge_left(self) -> None:
        """Judge jobs again whose time has come."""
        now_s = self._now_s()
        for job_id in [each for each, at_s in self._again.items() if at_s <= now_s]:
            if len(self._suited) >= MOST:
                return
            await self._judge(job_id)
            if self._again.get(job_id, math.inf) <= now_s:
                del self._again[job_id]

    async def _judge_new(self) -> None:
        settled_before = self._clock.now() - LAG
        after = self._after
        while len(self._suited) < MOST:
            page = await self._aside.list(limit=PAGE, after=after)
            for each in page:
                if each.id not in self._judged:
                    await self._judge(each.id)
                    self._judged.add(each.id)
                after = each.cursor
                if each.since < settled_before:
                    self._after = after
                    self._judged.discard(each.id)
            if len(page) < PAGE:
                return

    async def _judge(self, job_id: JobId) -> None:
        await asyncio.sleep(0)  # a read need not suspend: thousands would block the event loop
        try:
            job = await self._records.get(job_id)
            if job.is_aside:
                await self._capabilities.check(job, await self._records.spec(job.id))
                await self._records.update(job, jobs.note_suited)
                self._suited[job.id] = waiting(job)
                self.found.set()
        except Unsuited as unsuited:
            self._note_again(job_id, unsuited.again_s)
        except (JobNotFound, IllegalTransition):
            pass  # it has ended since, or another worker has it
        except DomainError:
            raise  # the table is away: the next look goes on here
        except Exception:  # a defect that one job meets must not end the worker
            log.exception("aside_job_skipped", job=job_id)
            self._note_again(job_id, DEFECT_AGAIN_S)

    def _note_again(self, job_id: JobId, again_s: float | None) -> None:
        """Judge a job again after a time; None: a change will say so."""
        if again_s is None:
            self._again.pop(job_id, None)
        elif job_id in self._again or len(self._again) < MOST:
            self._again[job_id] = self._now_s() + again_s
        else:
            at_s = self._now_s() + max(again_s, ALL_AGAIN_S)
            self._all_again_at_s = min(self._all_again_at_s, at_s)
