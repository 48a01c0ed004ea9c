"""Whether ComfyUI answers; nothing is claimed while it does not."""

import asyncio

import structlog

from comfyq.ports.engine import Engine, EngineError, EngineInfo

log = structlog.get_logger()


class EngineWatch:
    """Looks at ComfyUI now and then, and more often while it is away."""

    def __init__(self, engine: Engine, *, period_s: float, away_period_s: float = 0.5) -> None:
        self._engine = engine
        self._period_s = period_s
        self._away_period_s = away_period_s
        self._answers = asyncio.Event()
        self._latched = False
        self.returns = 0  # how often it has begun to answer
        self.info: EngineInfo | None = None
        self.reason: str | None = "ComfyUI was not asked yet"

    @property
    def ok(self) -> bool:
        return self._answers.is_set()

    async def wait_ok(self) -> None:
        await self._answers.wait()

    def doubt(self) -> None:
        """An attempt found ComfyUI away: claim nothing before it has answered again."""
        self._answers.clear()

    def latch(self, reason: str) -> None:
        """Claim nothing any more: only a restart helps."""
        self._latched = True
        self.reason = reason
        self._answers.clear()
        log.error("worker_latched", reason=reason)

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._period_s if self.ok else self._away_period_s)

    async def look(self) -> None:
        if self._latched:
            return
        try:
            self.info = await self._engine.info()
        except EngineError as away:
            if self.ok or self.reason is None:
                log.warning("engine_away", reason=str(away))
            self.reason = str(away)
            self._answers.clear()
        else:
            self.reason = None
            self.returns += not self.ok
            self._answers.set()
