"""Capabilities of this worker's ComfyUI, and the jobs that it cannot run.

A job is admitted if any known worker can run it, or if its client wants to wait for one. So a
worker checks each job that it claims, and leaves those that its ComfyUI cannot run to others.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from comfyq.domain.caller import TenantId
from comfyq.domain.graph.errors import NOT_IN_LIST, UNKNOWN_CLASS
from comfyq.domain.graph.node_catalogue import NodeCatalogue, read_catalogue
from comfyq.domain.graph.validation import validate
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.spec import Spec
from comfyq.ports.catalogue import CatalogueSource
from comfyq.ports.clock import Clock
from comfyq.ports.engine import EngineError

LACKING = frozenset({UNKNOWN_CLASS, NOT_IN_LIST})  # errors that another ComfyUI may not have
NAMED = 5  # missing classes and models that a message lists
AGAIN_S = 5.0  # the catalogue is read again at most so often for a job that does not fit
FIRST_PAUSE_S = 1.0  # before the new doorbell of a declined job is delivered; doubles each time
LONGEST_PAUSE_S = 300.0
TIMES = 20  # doorbells of a declined job that are passed on before the job is checked again
MOST = 1_000  # declined jobs that are remembered


class Unsuited(EngineError):
    """This ComfyUI lacks what the job needs; another one may have it."""


@dataclass(frozen=True, slots=True)
class Declined:
    """A job that this ComfyUI cannot run."""

    tenant: TenantId
    times: int  # that its doorbell was passed on
    rings_at: datetime  # the earliest time that the passed-on doorbell is delivered


@dataclass(frozen=True, slots=True)
class Left:
    """A doorbell to send to other workers instead of one received here."""

    tenant: TenantId
    pause_s: float  # before it is delivered


class Capabilities:
    """Judge jobs by ComfyUI's catalogue, as it was last read through ``object_info``."""

    def __init__(self, source: CatalogueSource, *, clock: Clock) -> None:
        self._clock = clock
        self._source = source
        self._info: Mapping[str, Any] | None = None
        self._catalogue: NodeCatalogue | None = None
        self._asked_at = float("-inf")
        self._reading = asyncio.Lock()
        self._declined: dict[JobId, Declined] = {}

    async def object_info(self) -> Mapping[str, Any]:
        """Read ComfyUI's catalogue, and judge jobs by it from then on."""
        async with self._reading:
            info = await self._source.object_info()
            self._asked_at = monotonic()
            if info != self._info:
                # Parsing thousands of classes would block the event loop.
                self._catalogue = await asyncio.to_thread(read_catalogue, info)
                self._info = info
                self._declined.clear()
            return info

    async def suited(self, job: Job, spec: Spec) -> Spec:
        """Return the spec with the names of models as this ComfyUI spells them; unchanged if its
        catalogue cannot be read.

        Raises:
            Unsuited: ComfyUI lacks a class or a model; the job is declined from now on.
        """
        if self._catalogue is None:
            await self._ask()
        try:
            return self._judged(spec)
        except Unsuited:
            await self._ask()  # models may have been added since the catalogue was read
        try:
            return self._judged(spec)
        except Unsuited:
            self._decline(job)
            raise

    def declines(self, job_id: JobId) -> bool:
        """Return whether the job was declined under the present catalogue."""
        return job_id in self._declined

    @property
    def declined(self) -> int:
        """Return how many jobs are declined now."""
        return len(self._declined)

    def leave(self, job_id: JobId) -> Left | None:
        """Return the doorbell to send instead of a declined job's that was received here.

        None: a deferred message for this job is pending; drop the duplicate.
        """
        declined, now = self._declined[job_id], self._clock.now()
        if now < declined.rings_at:
            return None
        pause_s = float(min(FIRST_PAUSE_S * 2**declined.times, LONGEST_PAUSE_S))
        if declined.times + 1 < TIMES:
            rings_at = now + timedelta(seconds=pause_s)
            self._declined[job_id] = Declined(declined.tenant, declined.times + 1, rings_at)
        else:
            del self._declined[job_id]
        return Left(declined.tenant, pause_s)

    def _decline(self, job: Job) -> None:
        while len(self._declined) >= MOST:
            self._declined.pop(next(iter(self._declined)))
        self._declined[job.id] = Declined(job.tenant, 0, self._clock.now())

    async def _ask(self) -> None:
        """Read the catalogue again, at most every AGAIN_S; wait for a read that is under way.

        Connection errors are ignored; submitting reports them.
        """
        if self._reading.locked():
            async with self._reading:
                return
        if monotonic() - self._asked_at >= AGAIN_S:
            self._asked_at = monotonic()
            with suppress(EngineError):
                await self.object_info()

    def _judged(self, spec: Spec) -> Spec:
        if self._catalogue is None:
            return spec
        verdict = validate(spec.graph, self._catalogue)
        if verdict.valid:
            return replace(spec, graph=verdict.graph)
        if any(error.kind not in LACKING for error in verdict.errors) or verdict.no_outputs:
            return spec  # no ComfyUI could run it: submitting gets ComfyUI's own error
        lacks = [f"{each.class_type} ({each.node}): {each.readable()}" for each in verdict.errors]
        raise Unsuited(f"its ComfyUI lacks what the job needs: {'; '.join(lacks[:NAMED])}")
