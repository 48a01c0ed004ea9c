"""Average run times of each tenant's workflows and of their nodes, as a worker measures them.

The averages are written in the background every PERIOD_S, so that a job costs no further write.
Workers overwrite each other's average without a lock: each reads it first and moves it a little,
so a lost update costs one worker's runs of half a minute.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial

from comfyq.aio.cached import Cached
from comfyq.aio.logs import log
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import DomainError
from comfyq.domain.job import Job
from comfyq.domain.job.run_time import RunTime
from comfyq.records.run_times import RunTimeRecords

PERIOD_S = 30.0  # between two writes
WEIGHT = 0.2  # of one run in the moving average
MOST_NOTED = 32  # runs of one workflow between two writes; older ones weigh next to nothing
KNOWN_S = 60.0  # maximum age of the times of nodes that a run is judged by
MOST_KNOWN = 1_000  # workflows of tenants whose times of nodes are remembered
NONE: Mapping[str, float] = {}

Runs = tuple[TenantId, str]  # whose jobs of which workflow


class RunTimes:
    def __init__(self, *, records: RunTimeRecords, period_s: float = PERIOD_S) -> None:
        self._records = records
        self._period_s = period_s
        self._noted: dict[Runs, deque[RunTime]] = {}
        self._known: dict[Runs, Cached[RunTime | None]] = {}
        self._news = asyncio.Event()

    def note(self, job: Job, nodes: Mapping[str, float] = NONE) -> None:
        """Note the run time of a job that has succeeded, and those of its nodes.

        A job that may have adopted a lost attempt's prompt is ignored: its true start is unknown.
        """
        if job.started_at is None or job.ended_at is None or job.attempt > job.settled_attempt + 1:
            return
        ran_s = (job.ended_at - job.started_at) / timedelta(seconds=1)
        noted = self._noted.setdefault((job.tenant, job.workflow), deque(maxlen=MOST_NOTED))
        noted.append(RunTime(ran_s, nodes))
        self._news.set()

    async def of_nodes(self, job: Job) -> Mapping[str, float]:
        """Return what earlier runs of the tenant's jobs like this one tell of its nodes; nothing if
        the table does not answer."""
        runs = job.tenant, job.workflow
        if (recent := self._known.pop(runs, None)) is None:
            recent = Cached(partial(self._records.usual, *runs), max_age_s=KNOWN_S)
        self._known[runs] = recent
        if len(self._known) > MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        try:
            usual = await recent.get()
        except DomainError:
            return NONE
        return NONE if usual is None else usual.nodes

    async def run(self) -> None:
        """Write the noted run times until canceled: the first at once, then every PERIOD_S."""
        while True:
            await self._news.wait()
            self._news.clear()
            noted, self._noted = self._noted, {}
            try:
                for (tenant, workflow), runs in noted.items():
                    await self._move(tenant, workflow, runs)
            except DomainError as away:
                log.warning("run_times_unwritten", reason=str(away))
            await asyncio.sleep(self._period_s)

    async def _move(self, tenant: TenantId, workflow: str, runs: Iterable[RunTime]) -> None:
        usual = await self._records.usual(tenant, workflow)
        for run in runs:
            usual = run.bounded if usual is None else usual.moved(run, weight=WEIGHT)
        if usual is not None:
            await self._records.put(tenant, workflow, usual)
            self._known.pop((tenant, workflow), None)
