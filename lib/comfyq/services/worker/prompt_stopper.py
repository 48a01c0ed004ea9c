"""Stopping prompts in ComfyUI, and watching those that do not stop at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

from comfyq.aio.logs import log
from comfyq.aio.tasks import all_of
from comfyq.ports.engine import (
    Engine,
    EngineError,
    EngineNotListening,
    EngineUnavailable,
    PromptId,
    PromptState,
)
from comfyq.services.worker.timing import Timing

T = TypeVar("T")

LOOK_S = 0.2
ASK_AGAIN_S = 5.0  # ComfyUI may drop a request to stop a prompt

LIVE = (PromptState.RUNNING, PromptState.PENDING)


@dataclass(slots=True)
class Unstopped:
    """A prompt that is still in ComfyUI after it was to stop."""

    until: float  # ComfyUI counts as hung after this time (monotonic)
    patience_s: float
    asked_at: float | None = None  # ComfyUI accepted the last request to stop it (monotonic)


class PromptStopper:
    """Stop prompts of one ComfyUI; callers wait until it is free before they submit another.

    A node checks for an interrupt between its steps, so a slow step goes on for a while. The
    stopped job does not wait for that; only the next job does.
    """

    def __init__(
        self, engine: Engine, *, timing: Timing, now: Callable[[], float] = monotonic
    ) -> None:
        self._engine = engine
        self._timing = timing
        self._now = now
        self._unstopped: dict[PromptId, Unstopped] = {}
        self._listens = True
        self._silent_since: float | None = None  # ComfyUI accepts connections but does not answer
        self._free = asyncio.Event()
        self._free.set()
        self._busy = asyncio.Event()

    @property
    def free(self) -> bool:
        """Return whether all prompts that were to stop are out of ComfyUI."""
        return self._free.is_set()

    async def wait_free(self) -> None:
        await self._free.wait()

    async def wait_busy(self) -> None:
        """Wait until a prompt that was to stop is still in ComfyUI."""
        await self._busy.wait()

    async def stop(self, prompts: Sequence[PromptId], *, patience_s: float) -> bool:
        """Stop prompts; return True once they are out of ComfyUI, False after ``let_go_s``.

        Prompts that are still in ComfyUI by then are watched by ``look``. ComfyUI counts as hung if
        one is there for ``patience_s`` (at least ``stop_s``) from now.
        """
        patience_s = max(patience_s, self._timing.stop_s)
        until = self._now() + patience_s
        going_on = {prompt: Unstopped(until, patience_s) for prompt in prompts}
        try:
            async with asyncio.timeout(self._timing.let_go_s):
                await self._request_stop(going_on)
                while going_on:  # polled, because no event reports every end
                    await asyncio.sleep(LOOK_S)
                    await self._request_stop(going_on)
        except (TimeoutError, EngineError) as left:
            log.warning(
                "prompt_unstopped", prompts=list(going_on), reason=str(left) or "a slow step"
            )
        finally:
            for prompt, unstopped in going_on.items():
                self._unstopped.setdefault(
                    prompt, unstopped
                )  # an earlier entry has an earlier limit
            self._set_free()
        return not going_on

    async def look(self) -> None:
        """Check the watched prompts, and drop those that are out of ComfyUI.

        Raises:
            EngineError: ComfyUI does not answer, or cannot stop a prompt.
        """
        began = self._now()
        self._listens, silent = True, False
        try:
            await self._request_stop(self._unstopped)
        except EngineUnavailable as away:
            self._listens = not isinstance(away, EngineNotListening)
            silent = self._listens
            raise
        finally:
            since = began if self._silent_since is None else self._silent_since
            self._silent_since = since if silent else None
            self._set_free()

    def forget(self) -> None:
        """Drop all watched prompts: ComfyUI was killed, and its prompts with it."""
        self._unstopped.clear()
        self._silent_since = None
        self._set_free()

    @property
    def hung(self) -> str | None:
        """Return why ComfyUI counts as hung; None while it may still become free by itself."""
        if self.free or not self._listens:  # a process that has ended runs nothing
            return None
        now, stop_s = self._now(), self._timing.stop_s
        if self._silent_since is not None and now - self._silent_since >= stop_s:
            return f"ComfyUI has not answered a request to stop a prompt for {stop_s:g} s"
        late = [each.patience_s for each in self._unstopped.values() if now >= each.until]
        return f"ComfyUI did not stop within {max(late):.0f} s" if late else None

    async def _request_stop(self, going_on: dict[PromptId, Unstopped]) -> None:
        """Request the stop of all prompts at once, and drop those that are out of ComfyUI.

        Raises:
            EngineUnavailable: ComfyUI does not answer.
            EngineError: it cannot stop one of them; the others were seen to all the same.
        """
        refusals = await all_of(
            self._request_stop_of(prompt, unstopped, going_on)
            for prompt, unstopped in list(going_on.items())
        )
        for refused in filter(None, refusals):
            raise refused

    async def _request_stop_of(
        self, prompt: PromptId, unstopped: Unstopped, going_on: dict[PromptId, Unstopped]
    ) -> EngineError | None:
        """Return why ComfyUI cannot stop the prompt; raises EngineUnavailable."""
        refused, is_out = None, False
        try:
            is_out = await self._ask(prompt, unstopped)
        except EngineUnavailable:
            raise
        except EngineError as unable:
            refused = unable
        if is_out or await self._answered(self._engine.find(prompt)) not in LIVE:
            going_on.pop(prompt, None)  # ``forget`` may have removed it meanwhile
        return refused

    async def _ask(self, prompt: PromptId, unstopped: Unstopped) -> bool:
        """Request the stop, unless that was done just now; True: the prompt is out of ComfyUI."""
        asked_at = unstopped.asked_at
        if asked_at is not None and self._now() - asked_at < ASK_AGAIN_S:
            return False
        is_out = await self._answered(self._engine.cancel(prompt))
        unstopped.asked_at = self._now()
        return is_out

    async def _answered(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timing.stop_s):
                return await call
        except TimeoutError as silent:
            raise EngineUnavailable(
                f"ComfyUI has not answered for {self._timing.stop_s:g} s"
            ) from silent

    def _set_free(self) -> None:
        if self._unstopped:
            self._free.clear()
            self._busy.set()
        else:
            self._free.set()
            self._busy.clear()
