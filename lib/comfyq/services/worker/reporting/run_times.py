"""Average run times of workflows and of their nodes, as a worker measures them.

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
from comfyq.domain.errors import DomainError
from comfyq.domain.job import Job
from comfyq.domain.job.run_time import RunTime
from comfyq.records.run_times import RunTimeRecords

PERIOD_S = 30.0  # between two writes
WEIGHT = 0.2  # of one run in the moving average
MOST_NOTED = 32  # runs of one workflow between two writes; older ones weigh next to nothing
KNOWN_S = 60.0  # maximum age of the times of nodes that a run is judged by
NONE: Mapping[str, float] = {}


class RunTimes:
    def __init__(self, *, records: RunTimeRecords, period_s: float = PERIOD_S) -> None:
        self._records = records
        self._period_s = period_s
        self._noted: dict[str, deque[RunTime]] = {}
        self._known: dict[str, Cached[RunTime | None]] = {}
        self._news = asyncio.Event()

    def note(self, job: Job, nodes: Mapping[str, float] = NONE) -> None:
        """Note the run time of a job that has succeeded, and those of its nodes.

        A job that may have adopted a lost attempt's prompt is ignored: its true start is unknown.
        """
        if job.started_at is None or job.ended_at is None or job.attempt > job.settled_attempt + 1:
            return
        ran_s = (job.ended_at - job.started_at) / timedelta(seconds=1)
        noted = self._noted.setdefault(job.workflow, deque(maxlen=MOST_NOTED))
        noted.append(RunTime(ran_s, nodes))
        self._news.set()

    async def of_nodes(self, workflow: str) -> Mapping[str, float]:
        """Return what earlier runs of a workflow tell of its nodes; nothing if the table does not
        answer."""
        read = partial(self._records.usual, workflow)
        recent = self._known.setdefault(workflow, Cached(read, max_age_s=KNOWN_S))
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
                for workflow, runs in noted.items():
                    await self._move(workflow, runs)
            except DomainError as away:
                log.warning("run_times_unwritten", reason=str(away))
            await asyncio.sleep(self._period_s)

    async def _move(self, workflow: str, runs: Iterable[RunTime]) -> None:
        usual = await self._records.usual(workflow)
        for run in runs:
            usual = run.bounded if usual is None else usual.moved(run, weight=WEIGHT)
        if usual is not None:
            await self._records.put(workflow, usual)
            self._known.pop(workflow, None)
