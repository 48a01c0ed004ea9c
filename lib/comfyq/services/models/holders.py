"""Other workers that hold a job's models, as they tell of themselves.

A worker that would have to fetch the models leaves the job to those for a while: as long as a job
may be passed over for others whose models ComfyUI has loaded.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from comfyq.aio.cached import Cached
from comfyq.domain.errors import DomainError
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.domain.job.order import waits_since
from comfyq.domain.models.lock import LockedModel
from comfyq.ports.clock import Clock
from comfyq.records.workers import WorkerRecords, WorkerState
from comfyq.services.models.obstacle import Obstacle

LOOK_S = 5.0
NOTED_WITHIN = timedelta(seconds=10)  # by then a worker has noted that it is able to run the job
MOST_OVER = 1_000


class ModelHolders:
    """``losses`` grows when a worker that jobs were left to takes none any more."""

    def __init__(
        self,
        *,
        own: WorkerId,
        workers: WorkerRecords,
        clock: Clock,
        max_wait_s: float,
        look_s: float = LOOK_S,
    ) -> None:
        self._own = own
        self._workers = workers
        self._clock = clock
        self._max_wait = timedelta(seconds=max_wait_s)
        self._read = Cached(self._others, max_age_s=look_s)
        self._takers: Sequence[WorkerState] = ()  # other live workers that take jobs
        self._left_to: frozenset[WorkerId] = frozenset()
        self._over: dict[JobId, None] = {}  # jobs that waited for long enough, the oldest first
        self.losses = 0

    async def look(self) -> None:
        """Read what others tell of themselves; what was read before counts while the table does
        not answer."""
        with suppress(DomainError):
            self._takers = await self._read.get()
        gone = self._left_to.difference(each.id for each in self._takers)
        if gone:
            self._left_to -= gone
            self.losses += 1

    async def _others(self) -> Sequence[WorkerState]:
        live = await self._workers.live()
        return [each for each in live if each.id != self._own and each.takes_jobs]

    def is_first_for(self, model: LockedModel) -> bool:
        """Return whether this worker is the one of those with room that fetches a model before a
        job is claimed: all come to the same one, without asking each other."""
        able = [
            each for each in self._takers if each.fetches and (each.models_room or 0) >= model.size
        ]
        names = [self._own, *[each.id for each in able]]
        return self._own == min(names, key=lambda name: _draw(name, model))

    def obstacle(
        self, job: Job, models: Sequence[LockedModel], *, ahead: bool = False
    ) -> Obstacle | None:
        """Return that a job is left to workers that hold its models; None: nobody does, or it has
        waited for them long enough. To fetch ``ahead``, only those count that tell what they
        hold."""
        holders = {
            each.id
            for each in self._takers
            if each.holds(models) or (is_untold(each) and not ahead)
        }
        if not holders or job.id in self._over:
            return None
        now = self._clock.now()
        until = waits_since(job) + self._max_wait
        if not job.is_suited:  # who holds them may lack something else, and note nothing
            until = min(until, (job.unsuited_since or now) + NOTED_WITHIN)
        if now >= until:
            self._note_over(job.id)
            return None
        self._left_to |= holders
        left_s = (until - now) / timedelta(seconds=1)
        return Obstacle("a worker that holds its models", left_s, keeps_doorbell=True)

    def _note_over(self, job_id: JobId) -> None:
        """Leave a job to nobody any more: this worker is about to note that it suits it, which
        looks as if one of the others had."""
        while len(self._over) >= MOST_OVER:
            del self._over[next(iter(self._over))]
        self._over[job_id] = None


def is_untold(worker: WorkerState) -> bool:
    """Return whether a worker may hold any models: what people put into its ComfyUI's folders is
    told by nobody, and it notes a job that it is able to run."""
    return not worker.fetches and not worker.models


def _draw(worker: WorkerId, model: LockedModel) -> bytes:
    return hashlib.sha256(f"{worker} {model.sha256}".encode()).digest()
