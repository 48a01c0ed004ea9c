"""Taking up jobs that were set aside, once this worker is able to run them.

No doorbell is sent for such a job. Each worker reads through them once, and again when its
ComfyUI's catalogue has changed; then only what was set aside since.
"""

import asyncio
from datetime import timedelta

from comfyq.aio.logs import log
from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError, IllegalTransition, JobNotFound
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.ports.table import Cursor
from comfyq.records.aside_jobs import Aside, AsideRecords
from comfyq.records.jobs import JobRecords
from comfyq.services.worker.capabilities import Capabilities

LOOK_S = 2.0
PAGE = 100
LAG = timedelta(seconds=10)  # of the index, and between the clocks of those that set jobs aside
MOST = 1_000  # jobs that are kept in mind until this worker has room for them


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
    ) -> None:
        self._aside = aside
        self._records = records
        self._capabilities = capabilities
        self._clock = clock
        self._look_s = look_s
        self._catalogue: NodeCatalogue | None = None
        self._after: Cursor | None = None
        self._judged: set[JobId] = set()  # those behind ``_after``
        self._suited: dict[JobId, None] = {}  # in order
        self.found = asyncio.Event()  # set while ``take`` has a job to return

    def take(self) -> JobId | None:
        """Return the longest waiting of the jobs that were found, once."""
        job_id = next(iter(self._suited), None)
        if job_id is not None:
            del self._suited[job_id]
        if not self._suited:
            self.found.clear()
        return job_id

    async def run(self) -> None:
        """Look every ``look_s`` until canceled."""
        while True:
            try:
                await self.look()
            except DomainError as away:
                log.warning("aside_look_failed", reason=str(away))
            await asyncio.sleep(self._look_s)

    async def look(self) -> None:
        """Judge what was set aside since the last look; everything after a new catalogue."""
        if self._capabilities.catalogue is not self._catalogue:
            self._catalogue, self._after = self._capabilities.catalogue, None
            self._judged.clear()
        if self._catalogue is None:
            return
        settled_before = self._clock.now() - LAG
        after = self._after
        while len(self._suited) < MOST:
            page = await self._aside.list(limit=PAGE, after=after)
            for each in page:
                await self._judge(each)
                after = each.cursor
                if each.since < settled_before:
                    self._after = after
                    self._judged.discard(each.id)
            if len(page) < PAGE:
                return

    async def _judge(self, aside: Aside) -> None:
        if aside.id in self._judged:
            return
        await asyncio.sleep(0)  # a read need not suspend: thousands would block the event loop
        try:
            job = await self._records.get(aside.id)
            if job.is_aside and self._capabilities.suits(await self._records.spec(job.id)):
                await self._records.update(job, jobs.note_suited)
                self._suited[job.id] = None
                self.found.set()
        except (JobNotFound, IllegalTransition):
            pass  # it has ended since, or another worker has it
        self._judged.add(aside.id)
