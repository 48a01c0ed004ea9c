"""Watching that ComfyUI answers and is admitted to the store; otherwise nothing is claimed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from comfyq.aio.logs import log
from comfyq.aio.rhythm import beat
from comfyq.domain.errors import Unavailable
from comfyq.ports.engine import Engine, EngineError, EngineInfo, PromptId, PromptState
from comfyq.services.worker.membership import Membership


class EngineWatch:
    """Poll ComfyUI periodically, and more often while it does not answer.

    ``before_claims`` is awaited whenever ComfyUI has answered, before that shows; it may raise
    EngineError.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        membership: Membership,
        before_claims: Callable[[], Awaitable[None]],
        period_s: float,
        away_period_s: float = 0.5,
    ) -> None:
        self._engine = engine
        self._membership = membership
        self._before_claims = before_claims
        self._period_s = period_s
        self._away_period_s = away_period_s
        self._answers = asyncio.Event()
        self._healed: Callable[[], Awaitable[bool]] | None = None  # None: it is not latched
        self.returns = 0  # times that ComfyUI began to answer
        self._returned = asyncio.Event()  # set at the next of them, and made anew
        self.on_change: Callable[[], None] = lambda: None
        self.info: EngineInfo | None = None
        self.reason: str | None = "ComfyUI was not asked yet"

    @property
    def ok(self) -> bool:
        return self._answers.is_set()

    async def wait_return(self, *, since: int) -> None:
        """Wait until ``returns`` is not ``since`` any more."""
        while self.returns == since:
            await self._returned.wait()

    async def wait_ok(self) -> None:
        await self._answers.wait()

    def doubt(self) -> None:
        """Claim nothing before ComfyUI answers again: an attempt could not reach it."""
        self._answers.clear()
        self.on_change()

    @property
    def latched(self) -> bool:
        return self._healed is not None

    def latch(self, reason: str, *, healed: Callable[[], Awaitable[bool]]) -> None:
        """Claim nothing, though ComfyUI may answer, until ``healed`` finds it to be sound.

        ``healed`` may raise EngineError, which leaves it latched.
        """
        self._healed = healed
        self.reason = reason
        self._answers.clear()
        log.error("worker_latched", reason=reason)
        self.on_change()

    async def has_lost(self, prompts: Sequence[PromptId]) -> bool:
        """Return whether ComfyUI was restarted since it ended these prompts, by its empty history.

        Raises:
            EngineError: ComfyUI does not answer.
        """
        for prompt in prompts:
            if await self._engine.find(prompt) is not PromptState.ABSENT:
                return False
        return True

    async def run(self) -> None:
        while True:
            await self.look()
            self.on_change()
            await beat(self._period_s if self.ok else self._away_period_s)

    async def look(self) -> None:
        if self._healed is not None and not await self._heals(self._healed):
            return
        try:
            self.info = await self._engine.info()
            await self._membership.join(self.info)
            await self._before_claims()
        except (EngineError, Unavailable) as away:
            if not self.latched:  # otherwise the reason for the latch is the one to show
                self._is_away(away)
        else:
            if not self.latched:  # it may have been latched while ComfyUI answered
                self._is_back()

    def _is_away(self, away: EngineError | Unavailable) -> None:
        if self.ok or self.reason is None:
            event = "engine_away" if isinstance(away, EngineError) else "table_away"
            log.warning(event, reason=str(away))
        self.reason = str(away)
        self._answers.clear()

    def _is_back(self) -> None:
        self.reason = None
        if not self.ok:
            self.returns += 1
            self._returned.set()
            self._returned = asyncio.Event()
        self._answers.set()

    async def _heals(self, healed: Callable[[], Awaitable[bool]]) -> bool:
        try:
            if not await healed():
                return False
        except EngineError:
            return False
        log.info("worker_unlatched", reason=self.reason)
        self._healed = None
        return True
