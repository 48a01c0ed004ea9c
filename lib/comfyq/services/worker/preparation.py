"""Preparation of a job: the models of its workflow's lock, and its input files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from comfyq.domain.submission.spec import Spec
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.input_files import InputPreparer
from comfyq.services.worker.provisioning.provisioner import Provisioner
from comfyq.services.worker.turn import Turn
from comfyq.telemetry.tracing import tracing


class Preparation:
    """Bring models and files, each in a stage of its own in which other jobs may run."""

    def __init__(self, *, inputs: InputPreparer, provisioner: Provisioner | None = None) -> None:
        self._inputs = inputs
        self._provisioner = provisioner  # None: this worker fetches no models

    @asynccontextmanager
    async def using_models(self, spec: Spec) -> AsyncIterator[None]:
        """Keep the job's models here while the body runs: ComfyUI may read them late."""
        if self._provisioner is None or not spec.models:
            yield
            return
        async with self._provisioner.using(spec):
            yield

    async def models(self, held: HeldJob, spec: Spec, turn: Turn) -> None:
        """Fetch the job's models that are not here; see Provisioner.provide for what it raises."""
        if self._provisioner is not None and spec.models:
            await self._provisioner.provide(held, spec, turn)

    async def inputs(self, held: HeldJob, spec: Spec, turn: Turn) -> Spec:
        """Place the job's files; see InputPreparer.prepare for what it raises."""
        if not spec.inputs:
            return spec
        async with turn.preparing():
            with tracing.span("inputs", comfyq__files=len(spec.inputs)):
                return await self._inputs.prepare(held.job, spec)
