"""Keep simulated ComfyUIs from the jobs of real ones, and tell their results apart."""

from comfyq.domain.errors import Unavailable
from comfyq.domain.job import WorkerId
from comfyq.domain.store_kind import JoinRefusal, StoreKind, refusal
from comfyq.ports.engine import EngineError, EngineInfo
from comfyq.records.store_kinds import StoreKindRecords
from comfyq.records.workers import WorkerRecords


class NotAdmitted(EngineError):
    """The store gives no jobs to this ComfyUI."""

    def __init__(self, why: JoinRefusal) -> None:
        super().__init__(f"{why.reason}; {why.remedy}")
        self.may_pass = why.may_pass


class Membership:
    """A worker's membership in its store, whose ComfyUIs are all simulators or all real."""

    def __init__(
        self, worker: WorkerId, *, kinds: StoreKindRecords, workers: WorkerRecords
    ) -> None:
        self.worker = worker
        self._kinds = kinds
        self._workers = workers
        self._joined: StoreKind | None = None

    @property
    def simulated(self) -> bool:
        """Return whether the ComfyUI that joined last is a simulator."""
        return self._joined is StoreKind.SIMULATED

    async def join(self, info: EngineInfo) -> None:
        """Join as the kind that ComfyUI reports; the first one to join decides the store's kind.

        Raises:
            NotAdmitted: the store is for the other kind.
            Unavailable: the store's kind cannot be read.
        """
        own = StoreKind.SIMULATED if info.simulated else StoreKind.REAL
        if own is self._joined is StoreKind.REAL:
            return  # a real store stays real
        try:
            await self._join(own)
        except Unavailable:
            if own is not self._joined:
                raise
        else:
            self._joined = own

    async def refusal(self, own: StoreKind) -> JoinRefusal | None:
        """Return why a ComfyUI of that kind would be refused, without joining; None: it would
        not be."""
        return await self._judged(own, (await self._kinds.read()).kind)

    async def show(self) -> None:
        """Make a real ComfyUI that is about to take the store over judge its workers again.

        Called after the heartbeat of this worker is stored: of a take-over and a simulator that
        begins to work, the later one sees the earlier one.
        """
        if self.simulated:
            stored = await self._kinds.read()
            if stored.kind is StoreKind.SIMULATED:
                await self._kinds.change(stored, StoreKind.SIMULATED)

    async def lasts(self) -> bool:
        """Return whether the store is still of this kind; False: a real ComfyUI took it over.

        Called after a claim, this says whether the job could still be claimed then.
        """
        return not self.simulated or await self._kinds.kind() is StoreKind.SIMULATED

    async def require(self) -> None:
        """Raise NotAdmitted if a real ComfyUI has taken the store over from this simulator."""
        if self.simulated and (why := await self.refusal(StoreKind.SIMULATED)) is not None:
            raise NotAdmitted(why)

    async def _join(self, own: StoreKind) -> None:
        while (stored := await self._kinds.read()).kind is not own:
            why = await self._judged(own, stored.kind)
            if why is not None:
                raise NotAdmitted(why)
            await self._kinds.change(stored, own)

    async def _judged(self, own: StoreKind, stored: StoreKind | None) -> JoinRefusal | None:
        if own is stored:
            return None
        others = [each for each in await self._workers.live() if each.id != self.worker]
        # One whose engine is in doubt may still render what it holds.
        simulators = [each for each in others if each.simulated and (each.engine_ok or each.jobs)]
        return refusal(
            own,
            stored,
            simulators=[each.id for each in simulators],
            silent=[each.id for each in others if each.engine_version is None],
        )
