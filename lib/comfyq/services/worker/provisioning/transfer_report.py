"""Storing how far a job's models have come, and posting it to followers."""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic

from comfyq.aio.threads import in_thread
from comfyq.domain import job as jobs
from comfyq.domain.errors import DomainError, LeaseLost, TooContended, Unavailable
from comfyq.domain.job.progress import Provisioning
from comfyq.domain.models.lock import LockedModel
from comfyq.ports.models.store import ModelStore
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.reporting.reporter import Reporting

LEAST_PERIOD_S = 0.05
STEADY_S = 2.0  # after which the pace so far says when the rest will be there


class TransferReport:
    """Tell what is here of a job's models, whichever process brings them."""

    def __init__(
        self,
        held: HeldJob,
        models: Sequence[LockedModel],
        *,
        store: ModelStore,
        shared: Reporting,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._held = held
        self._models = {each.sha256: each for each in models}.values()
        self._store = store
        self._shared = shared
        self._now_s = now_s
        self._began: tuple[float, int] | None = None  # when, and with how many bytes
        self._total = sum(each.size for each in self._models)

    async def run(self) -> None:
        """Report whenever it has changed, until canceled."""
        period_s = max(self._shared.timing.store_progress_s, LEAST_PERIOD_S)
        shown: Provisioning | None = None
        while True:
            now: Provisioning | None = await in_thread(self._measured)
            if now != shown:
                try:
                    await self._tell(now)
                except LeaseLost:
                    return  # ``HeldJob.keep`` raises the same, and ends the attempt
                except (Unavailable, TooContended):
                    now = shown  # the next one tells more
                shown = now
            await asyncio.sleep(period_s)

    async def end(self) -> None:
        """Note that the models are here; if it cannot be stored, the start of the run says so."""
        with suppress(DomainError):
            await self._tell(None)

    async def _tell(self, at: Provisioning | None) -> None:
        timing = self._shared.timing
        change = partial(jobs.provision, token=self._held.token, ttl=timing.lease, provisioning=at)
        job = await self._held.write(change, synced=False)
        with suppress(DomainError):  # followers could not be read: the next report reaches them
            followers = await self._shared.followers.of_job(job.id)
            await self._shared.announcer.post(job, followers)

    def _measured(self) -> Provisioning:
        done = sum(min(self._store.state(each)[1], each.size) for each in self._models)
        now_s = self._now_s()
        if self._began is None:
            self._began = (now_s, done)
        passed_s, came = now_s - self._began[0], done - self._began[1]
        is_steady = passed_s >= STEADY_S and came > 0
        eta_s = math.ceil((self._total - done) * passed_s / came) if is_steady else None
        return Provisioning(done, self._total, eta_s)
