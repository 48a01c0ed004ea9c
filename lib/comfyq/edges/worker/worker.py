"""A worker's main loop: retake, receive, claim, run, and give back what cannot be finished."""

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

from comfyq.aio.interrupt import Interrupt
from comfyq.aio.logs import log, log_context
from comfyq.aio.tasks import beside
from comfyq.domain.errors import TooContended, Unavailable
from comfyq.edges.worker.attempts import Attempts
from comfyq.edges.worker.heartbeat import Heartbeat
from comfyq.edges.worker.job_source import Claim, JobSource
from comfyq.edges.worker.readiness import Readiness

PAUSE_S = 1.0  # when the queue or the table does not answer


class Companion(Protocol):
    """A background task beside the jobs, such as cleaning up and publishing."""

    async def run(self) -> None:
        """Run until canceled."""
        ...


class Worker:
    """One ComfyUI's consumer; ``run`` returns when ``stop`` was called and the drain is over."""

    def __init__(
        self,
        *,
        source: JobSource,
        attempts: Attempts,
        readiness: Readiness,
        heartbeat: Heartbeat,
        companions: Sequence[Companion],
        drain_s: float,
    ) -> None:
        self._source = source
        self._attempts = attempts
        self._readiness = readiness
        self._heartbeat = heartbeat
        self._companions = companions
        self._drain_s = drain_s
        self._stopped = Interrupt()  # of what is waited for

    def stop(self) -> None:
        """Claim nothing more; running jobs may finish within ``drain_s``."""
        self._stopped.set()

    async def run(self) -> None:
        with log_context(worker=self._heartbeat.worker):
            await self._readiness.space.look()
            companions = [companion.run() for companion in self._companions]
            watching = self._readiness.run(self._attempts.on_hung)
            async with beside(watching, self._heartbeat.run(), *companions):
                await self._serve()
            await self._heartbeat.stop()

    async def _serve(self) -> None:
        async with self._attempts:
            await self._retake()
            while not self._stopped.is_set():
                await self._serve_one()
            self._heartbeat.drain()
            await self._attempts.drain(drain_s=self._drain_s)

    async def _retake(self) -> None:
        await self._stopped.unless_set(self._readiness.engine.wait_ok())
        while not self._stopped.is_set():
            try:
                await self._stopped.unless_set(self._heartbeat.publish())
                async for held in self._source.retake():
                    log.info("job_retaken", job=held.id, attempt=held.token)
                    self._source.began(held)
                    self._attempts.begin(held, self._attempts.slot())
            except (Unavailable, TooContended) as away:
                await self._pause(away)
            else:
                return

    async def _serve_one(self) -> None:
        if not self._attempts.has_room:
            await self._stopped.unless_set(self._attempts.room())
        if not self._readiness.ok:
            await self._stopped.unless_set(self._readiness.wait())
        try:
            if not self._heartbeat.is_current:
                await self._stopped.unless_set(self._heartbeat.publish())
            if self._stopped.is_set() or not await self._claim(await self._source.suited()):
                await self._claim(await self._stopped.unless_set(self._source.rung()))
        except (Unavailable, OSError) as away:
            await self._pause(away)

    async def _pause(self, away: Exception) -> None:
        """Pause after a service did not answer, or the worker's own disk was full."""
        log.warning("backend_away", reason=str(away))
        await self._stopped.unless_set(asyncio.sleep(random.uniform(PAUSE_S / 2, PAUSE_S)))

    async def _claim(self, claim: Claim | None) -> bool:
        """Claim a found job and begin it; False if there is none, or it cannot be claimed."""
        if claim is None:
            return False
        slot = self._attempts.slot()
        held = None
        try:
            held = await claim()
        finally:
            if held is None:
                slot.leave()
        if held is None:
            return False
        self._source.began(held)
        self._attempts.begin(held, slot)
        return True
