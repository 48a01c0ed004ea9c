"""Capabilities of this worker's ComfyUI, and the jobs that it was found unable to run.

A job is admitted if some worker that is known can run it, or if its client wants to wait for one.
So who claims a job looks first, and leaves what its ComfyUI lacks to others.
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

LACKING = frozenset({UNKNOWN_CLASS, NOT_IN_LIST})  # what another ComfyUI may have
NAMED = 5  # things that it lacks, in one sentence
AGAIN_S = 5.0  # it is asked again so often whether it has got what it lacked
FIRST_PAUSE_S = 1.0  # before a doorbell that was left to others rings again
LONGEST_PAUSE_S = 300.0
TIMES = 20  # a doorbell is left to others; then its job is looked at again
MOST = 1_000  # jobs that are remembered


class Unsuited(EngineError):
    """This ComfyUI lacks what the job needs; another one may have it."""


@dataclass(frozen=True, slots=True)
class Declined:
    """A job that this ComfyUI cannot run."""

    tenant: TenantId
    times: int  # its doorbell was left to others
    rings_at: datetime  # at the earliest, what was left to others


@dataclass(frozen=True, slots=True)
class Left:
    """A doorbell that is left to others."""

    tenant: TenantId
    pause_s: float  # before it rings again


class Capabilities:
    """Passes the catalogue on to who publishes it, and judges by what it saw."""

    def __init__(self, source: CatalogueSource, *, clock: Clock) -> None:
        self._clock = clock
        self._source = source
        self._info: Mapping[str, Any] | None = None
        self._catalogue: NodeCatalogue | None = None
        self._asked_at = float("-inf")
        self._declined: dict[JobId, Declined] = {}

    async def object_info(self) -> Mapping[str, Any]:
        """As CatalogueSource has it; what is new in it is known from then on."""
        info = await self._source.object_info()
        self._asked_at = monotonic()
        if info != self._info:
            # thousands of classes take a while: what runs meanwhile is not to wait for them
            self._catalogue = await asyncio.to_thread(read_catalogue, info)
            self._info = info
            self._declined.clear()
        return info

    async def suited(self, job: Job, spec: Spec) -> Spec:
        """The spec with the names of models as this ComfyUI has them; as it is, where ComfyUI does
        not tell what it has.

        Raises:
            Unsuited: it lacks some; the job is declined from now on.
        """
        if self._catalogue is None:
            await self._ask()
        try:
            return self._judged(spec)
        except Unsuited:
            await self._ask()  # files come and go while it runs
        try:
            return self._judged(spec)
        except Unsuited:
            self._decline(job)
            raise

    def declines(self, job_id: JobId) -> bool:
        """It was found unable to run the job, and has the same catalogue since."""
        return job_id in self._declined

    @property
    def declined(self) -> int:
        """Return how many jobs it declines."""
        return len(self._declined)

    def leave(self, job_id: JobId) -> Left | None:
        """Decide on the doorbell of a declined job that was received here once more.

        None: it is one too many, since the one that was left before has yet to ring.
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
        """A ComfyUI that is away is found to be so by whoever submits to it."""
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
            return spec  # nobody could run it: ComfyUI says best what is wrong
        lacks = [f"{each.class_type} ({each.node}): {each.readable()}" for each in verdict.errors]
        raise Unsuited(f"its ComfyUI lacks what the job needs: {'; '.join(lacks[:NAMED])}")
