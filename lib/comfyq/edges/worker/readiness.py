"""Conditions under which a worker may claim a job."""

from collections.abc import Callable

from comfyq.aio.tasks import beside
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.edges.worker.space_watch import SpaceWatch
from comfyq.edges.worker.unstopped_watch import UnstoppedWatch


class Readiness:
    """Combine the watches: ComfyUI answers, disks have room, no stopped prompt still runs."""

    def __init__(
        self, *, engine: EngineWatch, space: SpaceWatch, unstopped: UnstoppedWatch
    ) -> None:
        self.engine = engine
        self.space = space
        self.unstopped = unstopped

    @property
    def ok(self) -> bool:
        return self.engine.ok and self.space.ok and self.unstopped.ok

    @property
    def paused(self) -> str | None:
        """Return why nothing is claimed although ComfyUI answers; None if jobs may be claimed."""
        return self.unstopped.reason or self.space.reason

    async def wait(self) -> None:
        """Wait until a job may be claimed: until all conditions hold at the same time."""
        while not self.ok:
            await self.engine.wait_ok()
            await self.space.wait_ok()
            await self.unstopped.wait_ok()

    async def run(self, on_hung: Callable[[str], None]) -> None:
        """Watch until canceled; ``on_hung`` is called with the reason if ComfyUI seems to hang."""
        async with beside(self.engine.run(), self.space.run()):
            await self.unstopped.run(on_hung)
