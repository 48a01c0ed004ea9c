"""Average run times of workflows, as a worker measures them.

The averages are written in the background every PERIOD_S, so that a job costs no further write.
Workers overwrite each other's average without a lock: each reads it first and moves it a little,
so a lost update costs one worker's runs of half a minute.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import timedelta

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.domain.job import Job
from comfyq.records.run_times import RunTimeRecords

PERIOD_S = 30.0  # between two writes
WEIGHT = 0.2  # of one run in the moving average
MOST_NOTED = 32  # runs of one workflow between two writes; older ones weigh next to nothing


class RunTimes:
    def __init__(self, *, records: RunTimeRecords, period_s: float = PERIOD_S) -> None:
        self._records = records
        self._period_s = period_s
        self._noted: dict[str, deque[float]] = {}
        self._news = asyncio.Event()

    def note(self, job: Job) -> None:
        """Note the run time of a job that has succeeded.

        A job that may have adopted a lost attempt's prompt is ignored: its true start is unknown.
        """
        if job.started_at is None or job.ended_at is None or job.attempt > job.settled_attempt + 1:
            return
        ran_s = (job.ended_at - job.started_at) / timedelta(seconds=1)
        self._noted.setdefault(job.workflow, deque(maxlen=MOST_NOTED)).append(ran_s)
        self._news.set()

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

    async def _move(self, workflow: str, runs: Iterable[float]) -> None:
        usual_s = await self._records.usual_s(workflow)
        for ran_s in runs:
            usual_s = ran_s if usual_s is None else usual_s + WEIGHT * (ran_s - usual_s)
        if usual_s is not None:
            await self._records.put(workflow, usual_s)
