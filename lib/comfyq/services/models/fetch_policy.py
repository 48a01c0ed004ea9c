"""The policy by which a worker fetches a job's models, or leaves them to others.

A job whose models are not here is claimed only if this worker would fetch them now. The others are
set aside: for workers that hold the models or have room for them, and for this one later.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from comfyq.aio.interrupt import Interrupt
from comfyq.domain.job import Job
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.submission.spec import Spec
from comfyq.ports.models.store import ModelStore
from comfyq.services.models.holders import ModelHolders
from comfyq.services.models.obstacle import Obstacle

MOST_JOBS = 4  # whose models are fetched at a time: a burst for one model leaves others the GPU
AGAIN_S = 600.0  # after which a model is tried again that this machine could not take
ROOM_AGAIN_S = 60.0  # and a job judged again for which it had no room: others may have made some
GIGABYTE = 10**9


class FetchPolicy:
    """``changes`` grows when a job that was refused may not be refused any more."""

    def __init__(
        self,
        store: ModelStore,
        *,
        holders: ModelHolders | None = None,
        most_jobs: int = MOST_JOBS,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._holders = holders  # None: nothing is left to those that hold its models
        self._most_jobs = most_jobs
        self._now_s = now_s
        self._fetching: dict[object, Sequence[LockedModel]] = {}  # by what is made for each
        self._refused: dict[str, tuple[str, float]] = {}  # by hash: why, and until when
        self._put_off: dict[str, float] = {}  # until when none of these is fetched ahead
        self._lacks_room = False  # a job was refused for it
        self._changes = 0
        self.claimed = Interrupt()  # of fetches ahead; set while claimed jobs' models are fetched

    @property
    def changes(self) -> int:
        return self._changes + (0 if self._holders is None else self._holders.losses)

    async def look_around(self) -> None:
        """Read what other workers hold, unless that was just done."""
        if self._holders is not None:
            await self._holders.look()

    @contextmanager
    def fetching(self, models: Sequence[LockedModel]) -> Iterator[None]:
        """Note that models of a job are being fetched while the body runs. A job that was lost and
        is held again may be fetched for twice."""
        key = object()
        self._fetching[key] = models
        self.claimed.set()
        try:
            yield
        finally:
            del self._fetching[key]
            if not self._fetching:
                self.claimed.clear()
            self._changes += 1

    def let_go(self) -> None:
        """Note that models of a job are not in use any more: there may be room for others."""
        if self._lacks_room:
            self._lacks_room = False
            self._changes += 1

    def fetched_ahead(self) -> None:
        """Note that a model is here that no claimed job needs yet."""
        self._changes += 1

    def put_off(self, model: LockedModel, *, for_s: float = AGAIN_S) -> None:
        """Fetch a model for a while only when a claimed job needs it."""
        now_s = self._now_s()
        self._put_off = {each: at_s for each, at_s in self._put_off.items() if at_s > now_s}
        self._put_off[model.sha256] = now_s + for_s

    def is_to_fetch_ahead(self, model: LockedModel) -> bool:
        """Return whether it is this worker that fetches a model ahead, and it may be had."""
        if self._now_s() < self._put_off.get(model.sha256, 0.0):
            return False
        return self._holders is None or self._holders.is_first_for(model)

    def lacking(
        self, models: Sequence[LockedModel], awaited: Collection[str]
    ) -> Sequence[LockedModel]:
        """Return those of a job's models whose files ComfyUI lacks, and that are not here."""
        return [each for each in models if each.file in awaited and self._missing(each)]

    def refuse(self, model: LockedModel, reason: str) -> None:
        """Leave jobs that need a model to other workers for AGAIN_S. Clients read ``reason``."""
        self._refused[model.sha256] = (reason, self._now_s() + AGAIN_S)

    def refusal(self, models: Sequence[LockedModel]) -> Obstacle | None:
        """Return why a job is left to others whose models these are; None: it is not."""
        for model in models:
            reason, until_s = self._refused.get(model.sha256, ("", 0.0))
            left_s = until_s - self._now_s()
            if reason and left_s > 0:
                return Obstacle(reason, left_s)
            self._refused.pop(model.sha256, None)
        return None

    def obstacle(
        self, job: Job, spec: Spec, awaited: Collection[str], *, ahead: bool = False
    ) -> Obstacle | None:
        """Return why this worker does not fetch now those of a job's models whose files ComfyUI
        lacks; None: it does, or has them. ``ahead``: the job is not to be claimed yet."""
        wanted = self.lacking(spec.models, awaited)
        if not wanted:
            return None
        left = None
        if self._holders is not None:
            left = self._holders.obstacle(job, spec.models, ahead=ahead)
        return left or self._hindrance(spec.models, wanted)

    def _hindrance(
        self, models: Sequence[LockedModel], wanted: Sequence[LockedModel]
    ) -> Obstacle | None:
        """Return what hinders this worker from fetching ``wanted`` of a job's models."""
        if len(self._fetching) >= self._most_jobs:
            return Obstacle("its models, which a worker fetches after those of other jobs")
        others = [model for fetched in self._fetching.values() for model in fetched]
        coming = {each.sha256: each for each in (*wanted, *others)}
        missing = sum(map(self._missing, coming.values()))
        room = self._store.room(coming)
        if missing > room:
            room += self._store.evictable({*coming, *[each.sha256 for each in models]})
        if missing <= room:
            return None
        self._lacks_room = True
        return Obstacle(
            f"a worker with room for its models: {missing / GIGABYTE:.2f} GB are to come, and one "
            f"has room for {max(room, 0) / GIGABYTE:.2f} GB",
            ROOM_AGAIN_S,
        )

    def _missing(self, model: LockedModel) -> int:
        """Return how many bytes of a file are not on the disk yet."""
        _, here = self._store.state(model)
        return max(model.size - here, 0)
