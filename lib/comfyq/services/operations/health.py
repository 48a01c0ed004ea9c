"""Health: a judgement of whether a job that is submitted now would run."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import DomainError, TableUnavailable
from comfyq.domain.submission.node_rules import ALLOWED, DENIED
from comfyq.records.workers import (
    WorkerRecords,
    WorkerState,
    absence_of,
    foreign_delay_of,
    obstacle_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    healthy: bool
    reason: str | None  # for a person; None if a job begins as soon as its turn comes
    comfyui_available: bool  # the ComfyUI of at least one live worker answers
    simulated: bool  # ComfyUIs answer, and all of them are simulators
    stalls: int = 0  # of this process's event loop, since it started
    workers: Sequence[WorkerState] = ()  # the live workers
    broken_workflows: Sequence[str] = ()  # names of those that are not served
    paused_receivers: int | None = None  # of webhooks, as far as the caller sees; None: not told


class Health:
    """Report health. A table that does not answer is a report, not an error."""

    def __init__(
        self,
        *,
        workers: WorkerRecords,
        scale_to_zero: bool = False,
        stalls: Callable[[], int] = lambda: 0,
        write_failure: Callable[[], str | None] = lambda: None,
        broken_workflows: Callable[[], Sequence[str]] = tuple,
        are_forbidden: Callable[[], bool] = lambda: False,
        paused_receivers: Callable[[TenantId | None], Awaitable[int]] | None = None,
    ) -> None:
        self._workers = workers
        self._stalls = stalls
        self._write_failure = write_failure
        self._broken_workflows = broken_workflows
        self._are_forbidden = are_forbidden
        self._scale_to_zero = scale_to_zero
        self._paused_receivers = paused_receivers

    async def check(self, caller: Caller | None = None) -> HealthReport:
        """Healthy if a live worker that takes jobs has a ComfyUI that answers, and the last write
        of this process did not fail. ``caller`` is who asks, if that is known.

        With scale-to-zero no worker at all is healthy as well: the first job starts one.
        """
        try:
            known = await self._workers.known()
            paused = await self._paused(caller)
        except DomainError as unavailable:
            return HealthReport(
                healthy=False,
                reason=f"the job table does not answer: {unavailable}",
                comfyui_available=False,
                simulated=False,
                stalls=self._stalls(),
                broken_workflows=self._broken_workflows(),
            )
        live = self._workers.alive(known)
        answering = [worker for worker in live if worker.engine_ok]
        idle = self._scale_to_zero and not live
        unstored = self._unstored()
        delay = "scaled to zero" if idle else _delay_of(live, known)
        is_served = idle or any(worker.takes_jobs for worker in live)
        return HealthReport(
            healthy=unstored is None and is_served,
            # First what makes it degraded: lists that forbid every workflow do not.
            reason=unstored or (None if is_served else delay) or self._forbidden() or delay,
            comfyui_available=bool(answering),
            simulated=bool(answering) and all(worker.simulated for worker in answering),
            stalls=self._stalls(),
            workers=live,
            broken_workflows=self._broken_workflows(),
            paused_receivers=paused,
        )

    async def require_ready(self) -> None:
        """Return if requests can be answered: the table is read, and stores what it is given.

        Raises:
            Unavailable: it is not so; the message says why.
        """
        await self._workers.live()
        if (unstored := self._unstored()) is not None:
            raise TableUnavailable(unstored)

    async def _paused(self, caller: Caller | None) -> int | None:
        """Return how many receivers are paused: of all tenants to an operator, of its own to an
        administrator, and to nobody else, who would learn of others'."""
        if caller is None or self._paused_receivers is None:
            return None
        if caller.is_operator:
            return await self._paused_receivers(None)
        return await self._paused_receivers(caller.tenant) if caller.is_admin else None

    def _forbidden(self) -> str | None:
        """Return that no workflow may run; graphs of clients' own still may."""
        if not self._are_forbidden():
            return None
        return (
            f"{ALLOWED} and {DENIED} forbid every workflow: `GET /workflows` says which classes "
            "each of them needs"
        )

    def _unstored(self) -> str | None:
        """Return why nothing is stored now, and what to do."""
        if (failure := self._write_failure()) is None:
            return None
        return (
            f"nothing can be stored, so new jobs are refused: {failure}; free space on the disk of "
            "the data directory, or see what `comfyq doctor` finds"
        )


def _delay_of(live: Sequence[WorkerState], known: Sequence[WorkerState]) -> str | None:
    return (obstacle_of(live) or foreign_delay_of(live)) if live else absence_of(known)
