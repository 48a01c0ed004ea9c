"""Running a workflow once, small, so that ComfyUI has its models loaded before the first job.

It is no job: nothing of it is stored, and whatever it fails with is a line in the log.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import uuid4

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError, InvalidRequest, InvalidWorkflow
from comfyq.domain.submission.admission import admit_workflow
from comfyq.domain.submission.small_run import small_graph, small_values
from comfyq.domain.workflow.workflow import Workflow
from comfyq.ports.engine import MARK, Ended, Engine, EngineError, Prompt, PromptId, Rendered
from comfyq.ports.workflows import Workflows
from comfyq.services.worker.capabilities import Capabilities
from comfyq.services.worker.disk_cleanup import DiskCleanup

CANCEL_S = 5.0
CHECK = "`comfyq workflows check --comfyui URL` tells what this ComfyUI lacks"


class WarmRuns:
    """Run those workflows of this machine that say ``warm = true``, one at a time."""

    def __init__(
        self,
        *,
        workflows: Callable[[], Workflows],
        engine: Engine,
        capabilities: Capabilities,
        disk_cleanup: DiskCleanup | None,
    ) -> None:
        self._workflows = workflows
        self._engine = engine
        self._capabilities = capabilities
        self._disk_cleanup = disk_cleanup
        self.count = 0  # of runs that were begun

    async def names(self) -> Sequence[str]:
        """Return the names of the workflows to run; none if this machine has no workflows."""
        try:
            return await asyncio.to_thread(self._names)
        except InvalidWorkflow:
            return ()

    def _names(self) -> Sequence[str]:
        known = self._workflows()
        return [name for name in known.names() if known.get(name).warm]

    async def run(self, name: str) -> bool:
        """Run a workflow to its end; False if it failed, which is logged."""
        try:
            workflow = self._workflows().get(name)
            files = await self._rendered(workflow)
        except InvalidRequest as lacking:
            log.warning("warm_failed", workflow=name, reason=str(lacking), help=CHECK)
            return False
        except TimeoutError:
            reason = "it did not end in time, and was canceled"
            log.warning("warm_failed", workflow=name, reason=reason, help="see run_timeout_s")
            return False
        except (DomainError, EngineError) as failed:
            log.warning("warm_failed", workflow=name, reason=str(failed), help="jobs go on")
            return False
        if self._disk_cleanup is not None:
            await self._disk_cleanup.warm_outputs(files)
        log.info("warmed", workflow=name)
        return True

    async def _rendered(self, workflow: Workflow) -> Sequence[Rendered]:
        if self._capabilities.catalogue is None:
            await self._capabilities.object_info()
        catalogue = self._capabilities.catalogue
        assert catalogue is not None, "it has been read by now"
        admitted = admit_workflow(workflow, small_values(workflow), catalogue, draw_seed=lambda: 0)
        graph = small_graph(admitted.spec.graph, catalogue)
        prompt = Prompt(PromptId(str(uuid4())), graph, {MARK: {"warm": workflow.name}})
        self.count += 1
        try:
            async with asyncio.timeout(workflow.limits.run_timeout_s):
                await self._engine.submit(prompt)
                async for event in self._engine.follow(prompt.id):
                    if isinstance(event, Ended):
                        return event.rendered
        except (TimeoutError, asyncio.CancelledError):
            with suppress(TimeoutError, EngineError):
                async with asyncio.timeout(CANCEL_S):
                    await self._engine.cancel(prompt.id)
            raise
        return ()
