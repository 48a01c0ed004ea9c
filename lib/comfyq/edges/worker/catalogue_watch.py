"""Publishing the node catalogue of this worker's ComfyUI whenever it may have changed."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.ports.engine import EngineError
from comfyq.services.workflows.node_catalogues import CataloguePublisher

PERIOD_S = 60.0  # models are added and removed while ComfyUI runs


class CatalogueWatch:
    """Publish when ComfyUI first answers, after each of its restarts, and every ``period_s``."""

    def __init__(
        self, publisher: CataloguePublisher, *, watch: EngineWatch, period_s: float = PERIOD_S
    ) -> None:
        self._publisher = publisher
        self._watch = watch
        self._period_s = period_s
        self.on_change: Callable[[], None] = lambda: None
        self.id: str | None = None  # of the catalogue that was published last

    async def run(self) -> None:
        while True:
            await self._watch.wait_ok()
            answered = self._watch.returns
            published = await self._publish()
            await self._pause(answered, self._period_s if published else PERIOD_S / 10)

    async def _publish(self) -> bool:
        try:
            self.id = await self._publisher.publish()
        except (DomainError, EngineError, OSError) as away:
            log.warning("catalogue_unpublished", reason=str(away))
            return False
        self.on_change()
        return True

    async def _pause(self, answered: int, pause_s: float) -> None:
        """Wait for ``pause_s``, or until ComfyUI answers again after an outage."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._watch.wait_return(since=answered)
