"""Fetching the models that a claimed job needs, before its prompt goes to ComfyUI."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import ExitStack, asynccontextmanager

from comfyq.aio.logs import log
from comfyq.aio.tasks import beside
from comfyq.aio.threads import in_thread, in_thread_to_end
from comfyq.domain.models.errors import ModelRefused, NoRoomForModel
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.submission.spec import Spec
from comfyq.ports.models.store import ModelState, ModelStore, PartHeld
from comfyq.services.models.fetch_policy import FetchPolicy
from comfyq.services.models.fetching import POLL_S, ModelFetcher
from comfyq.services.worker.capabilities import Capabilities, Unsuited
from comfyq.services.worker.held_job import HeldJob
from comfyq.services.worker.provisioning.transfer_report import TransferReport
from comfyq.services.worker.reporting.reporter import Reporting
from comfyq.services.worker.turn import Turn
from comfyq.telemetry.tracing import tracing

ABSENT = (ModelState.MISSING, ModelState.PARTIAL)


class Provisioner:
    """Bring models from where their locks say into the folder that ComfyUI reads."""

    def __init__(
        self,
        *,
        store: ModelStore,
        fetcher: ModelFetcher,
        policy: FetchPolicy,
        capabilities: Capabilities,
        reporting: Reporting,
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._policy = policy
        self._capabilities = capabilities
        self._reporting = reporting

    @asynccontextmanager
    async def using(self, spec: Spec) -> AsyncIterator[None]:
        """Keep the models that a job's lock names from being deleted for others."""
        with ExitStack() as stack:
            await self._use(stack, {each.sha256 for each in spec.models})
            try:
                yield
            finally:
                stack.close()
                self._policy.let_go()

    async def _use(self, stack: ExitStack, sha256: Collection[str]) -> None:
        """Have models in use until ``stack`` ends, once nobody deletes them."""
        while True:
            using = self._store.using(sha256)
            try:
                await in_thread_to_end(lambda using=using: stack.enter_context(using))
            except PartHeld:
                await asyncio.sleep(POLL_S)
            except OSError as unwritable:  # the job may run all the same
                log.warning("model_use_not_noted", reason=str(unwritable))
                return
            else:
                return

    async def provide(self, held: HeldJob, spec: Spec, turn: Turn) -> None:
        """Return once ComfyUI lists all models that the job's lock names; other jobs are run
        meanwhile.

        Raises:
            ModelRefused, ModelUnavailable: a model cannot be had, now or at all.
            Unsuited: this machine has no place for it, or its ComfyUI does not find it.
            EngineUnavailable: ComfyUI could not be asked what it lists.
        """
        lacking = await self._lacking(spec)
        if not lacking:
            return
        async with turn.provisioning():
            report = TransferReport(held, lacking, store=self._store, shared=self._reporting)
            with self._policy.fetching(lacking):
                with tracing.span("models", comfyq__files=len(lacking)):
                    async with beside(report.run()):
                        for model in lacking:
                            await self._bring(model)
                await self._require_listed(spec, lacking)
            await report.end()

    async def bring_ahead(self, model: LockedModel, kept: Collection[str]) -> None:
        """Bring a model that a waiting job needs; those of ``kept`` are not deleted for it.

        Raises:
            ModelError, OSError: it cannot be had, now or at all.
        """
        with ExitStack() as stack:
            await self._use(stack, kept)
            before = await self._fetcher.bring(model)
        if before is not ModelState.READY:
            size = model.size
            log.info("model_fetched_ahead", file=model.path, sha256=model.sha256, bytes=size)
            self._policy.fetched_ahead()

    async def _lacking(self, spec: Spec) -> Sequence[LockedModel]:
        """Return the models that are not in the store. A file that ComfyUI lists from another
        folder of its own is used as it is."""
        states = {each: (await in_thread(self._store.state, each))[0] for each in spec.models}
        lacking = [each for each, state in states.items() if state is not ModelState.READY]
        absent = [each for each in lacking if states[each] in ABSENT]
        if not absent:
            return lacking
        elsewhere = await self._capabilities.listed(spec, absent)
        return [each for each in lacking if each not in elsewhere]

    async def _bring(self, model: LockedModel) -> None:
        try:
            before = await self._fetcher.bring(model)
        except NoRoomForModel as full:
            raise self._left_to_others(
                model, full, f"a worker with room for {model.file}, {model.size} bytes"
            ) from full
        except OSError as unwritable:  # it would be so for the next job, too
            raise self._left_to_others(
                model, unwritable, f"a worker that can write {model.file} into its folder of models"
            ) from unwritable
        except ModelRefused as refused:
            state, _ = await in_thread(self._store.state, model)
            if state is not ModelState.OTHER:
                raise
            raise self._left_to_others(
                model,
                refused,
                f"a worker on which no other file stands in the place of {model.path}",
            ) from refused
        if before is not ModelState.READY:
            log.info("model_provided", file=model.path, sha256=model.sha256, bytes=model.size)

    async def _require_listed(self, spec: Spec, models: Sequence[LockedModel]) -> None:
        """Raise Unsuited if ComfyUI does not list the models that were brought: it reads another
        folder."""
        unlisted = await self._capabilities.unlisted(spec)
        for model in models:
            if model.file in unlisted:
                raise self._left_to_others(
                    model,
                    None,
                    f"a worker whose ComfyUI finds {model.path} where it was put",
                )

    def _left_to_others(self, model: LockedModel, cause: Exception | None, wanted: str) -> Unsuited:
        """Return the error by which a job goes to another worker. What it says may be read by
        clients; the log has the folder."""
        reason = str(cause) if cause else "its ComfyUI does not list it: see COMFYQ_MODELS_DIR"
        log.warning("model_not_provided", file=model.path, sha256=model.sha256, reason=reason)
        self._policy.refuse(model, wanted)
        return Unsuited(wanted)
