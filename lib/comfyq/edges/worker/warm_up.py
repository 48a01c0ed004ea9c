"""Warm runs after each start of ComfyUI."""

from collections.abc import Callable, Sequence
from typing import Protocol

from comfyq.aio.logs import log
from comfyq.aio.rhythm import beat
from comfyq.edges.worker.readiness import Readiness

LOOK_S = 1.0  # between two looks whether the worker holds a job


class Runs(Protocol):
    """Runs workflows that are to be warm."""

    async def names(self) -> Sequence[str]: ...

    async def run(self, name: str) -> bool: ...


class WarmUp:
    """Run each workflow that is to be warm once ComfyUI answers, and again after it was away.

    A run is begun while the worker holds no job, so of a job that comes meanwhile at most one is
    ahead.
    """

    def __init__(
        self,
        runs: Runs,
        *,
        readiness: Readiness,
        is_busy: Callable[[], bool],
        look_s: float = LOOK_S,
    ) -> None:
        self._runs = runs
        self._readiness = readiness
        self._is_busy = is_busy
        self._look_s = look_s

    async def run(self) -> None:
        """Warm up until canceled."""
        while True:
            await self._readiness.wait()
            answered = self._readiness.engine.returns
            try:
                await self._run_each()
            except Exception:
                log.exception("warm_crashed")  # a defect must not end the worker
            await self._readiness.engine.wait_return(since=answered)

    async def _run_each(self) -> None:
        for name in await self._runs.names():
            while self._is_busy():
                await beat(self._look_s)
            if not self._readiness.ok:
                return
            await self._runs.run(name)
