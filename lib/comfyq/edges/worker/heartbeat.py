"""The worker's heartbeat: its state, stored in the table."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from comfyq.aio.logs import log
from comfyq.domain.environment.description import environment_digest
from comfyq.domain.errors import ClockSkewed, DomainError
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.domain.recency import is_recent
from comfyq.edges.worker.catalogue_watch import CatalogueWatch
from comfyq.edges.worker.readiness import Readiness
from comfyq.ports.clock import Clock
from comfyq.records.workers import KEPT_S, WorkerRecords, WorkerState
from comfyq.services.models.held_models import HeldModels
from comfyq.services.worker.membership import Membership

RETRY_S = 0.25  # after a heartbeat that failed, and the least pause between two


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a worker; the id outlives its process."""

    id: WorkerId
    host: str
    pid: int
    version: str  # of comfyq
    fetches: bool = False  # models that a job's lock names and that it lacks
    environment: str | None = None  # what its ComfyUI is installed with; None: nobody tells

    def environment_of(self, comfyui_version: str) -> str | None:
        """Return the digest of its environment."""
        if self.environment is None:
            return None
        return environment_digest(comfyui_version, self.environment)


class Heartbeat:
    """Store the worker's state every ``period_s``, and whenever what others see of it changes."""

    def __init__(
        self,
        identity: Identity,
        *,
        records: WorkerRecords,
        membership: Membership,
        readiness: Readiness,
        catalogue: CatalogueWatch | None = None,
        models: HeldModels | None = None,
        clock: Clock,
        period_s: float,
    ) -> None:
        self._identity = identity
        self._records = records
        self._membership = membership
        self._readiness = readiness
        self._catalogue = catalogue
        self._models = models  # None: no folder of models is known
        self._clock = clock
        self._period = timedelta(seconds=period_s)
        self._started_at = clock.now()
        # by job and attempt, and how many prompts of others ComfyUI runs before its own
        self._held: dict[tuple[JobId, int], int] = {}
        self._family: str | None = None
        self.taken = 0  # attempts that were begun
        self._draining = False
        self._shown: WorkerState | None = None  # the last state that was stored
        self._shown_news: tuple[object, ...] = ()  # what of it others are told at once
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        for watch in (readiness.engine, readiness.space, readiness.unstopped, catalogue, models):
            if watch is not None:
                watch.on_change = self._changed.set

    def add(self, job: Job) -> None:
        self._held[job.id, job.attempt] = 0
        self._family = job.family
        self.taken += 1

    def remove(self, job_id: JobId, attempt: int) -> None:
        """Remove one attempt; the same job may be held again under its next one already."""
        if self._held.pop((job_id, attempt), 0):
            self._changed.set()

    def unload(self) -> None:
        """Note that ComfyUI has no models loaded any more."""
        self._family = None

    def delay(self, job_id: JobId, attempt: int, foreign: int) -> None:
        """Note that ComfyUI runs ``foreign`` prompts of others before an attempt's own."""
        if (job_id, attempt) in self._held:
            self._held[job_id, attempt] = foreign
            self._changed.set()

    @property
    def worker(self) -> WorkerId:
        return self._identity.id

    @property
    def busy(self) -> bool:
        """Return whether the worker holds a job."""
        return bool(self._held)

    @property
    def shows_engine(self) -> bool:
        """Return whether the stored state says that this worker's ComfyUI answers."""
        return self._shown is not None and self._shown.engine_ok

    @property
    def is_current(self) -> bool:
        """Return whether ``publish`` has nothing to store now."""
        return not self._lock.locked() and self._is_shown(self._news(), self._clock.now())

    @property
    def is_draining(self) -> bool:
        return self._draining

    def drain(self) -> None:
        self._draining = True
        self._changed.set()

    async def run(self) -> None:
        """Send heartbeats until canceled; one that fails is followed by the next.

        Raises:
            ClockSkewed: every heartbeat would be refused, because this machine's clock is wrong.
        """
        failed = None
        while True:
            self._changed.clear()
            try:
                await self.publish()
                pause_s, failed = self._until_old_s(), None
            except ClockSkewed:
                raise
            except DomainError as away:
                if str(away) != failed:  # it is tried several times a second
                    log.warning("beat_failed", reason=str(away))
                pause_s, failed = RETRY_S, str(away)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()

    async def publish(self) -> None:
        """Store the worker's state if it differs from the stored one, or that one is old.

        Raises:
            Unavailable, ClockSkewed: it could not be stored.
        """
        async with self._lock:
            now, news = self._clock.now(), self._news()
            if self._is_shown(news, now):
                return
            state = self._state(now)
            await self._records.beat(state, ttl_s=KEPT_S)
            await self._membership.show()
            self._shown, self._shown_news = state, news

    async def stop(self) -> None:
        """Note that the worker has left."""
        try:
            await self._records.end(self._identity.id)
        except DomainError as away:
            log.warning("beat_failed", reason=str(away))

    @property
    def _foreign(self) -> int:
        return max(self._held.values(), default=0)

    def _is_shown(self, news: tuple[object, ...], now: datetime) -> bool:
        if self._shown is None or news != self._shown_news:
            return False
        return is_recent(self._shown.seen_at, now, within=self._period)

    def _until_old_s(self) -> float:
        """Return the time until the stored state is old, at least RETRY_S, at most a period."""
        period_s = self._period.total_seconds()
        if self._shown is None:
            return min(RETRY_S, period_s)
        left = self._period - (self._clock.now() - self._shown.seen_at)
        return min(max(left.total_seconds(), RETRY_S), period_s)

    def _news(self) -> tuple[object, ...]:
        """Return what of the state is stored as soon as it changes; it is compared for each
        doorbell, so no state is built for it."""
        engine = self._readiness.engine
        catalogue = self._catalogue.id if self._catalogue else None
        paused = self._readiness.paused
        models = self._models.digests if self._models else None
        told = (engine.ok, engine.reason, engine.info, catalogue, self._draining, paused)
        return (*told, models, self._foreign)

    def _state(self, now: datetime) -> WorkerState:
        engine = self._readiness.engine
        info = engine.info
        return WorkerState(
            id=self._identity.id,
            pid=self._identity.pid,
            host=self._identity.host,
            version=self._identity.version,
            engine_ok=engine.ok,
            engine_reason=engine.reason,
            engine_version=info.version if info else None,
            devices=info.devices if info else (),
            simulated=info.simulated if info else False,
            environment=self._identity.environment_of(info.version) if info else None,
            catalogue=self._catalogue.id if self._catalogue else None,
            draining=self._draining,
            paused=self._readiness.paused,
            fetches=self._identity.fetches,
            models=self._models.digests if self._models else frozenset(),
            models_room=self._models.room if self._models else None,
            foreign_prompts=self._foreign,
            jobs=tuple(sorted({job_id for job_id, _ in self._held})),
            family=self._family,
            seen_at=now,
            started_at=self._started_at,
        )
