"""Taking prompts out of ComfyUI, and remembering those that it goes on with."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

from comfyq.aio.logs import log
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

LIVE = (PromptState.RUNNING, PromptState.PENDING)


@dataclass(slots=True)
class Unstopped:
    """A prompt that ComfyUI has, though nobody wants it any more."""

    until: float  # the step that it is at may take so long (monotonic)
    patience_s: float
    asked: bool = False  # ComfyUI knows that it is to stop


class PromptStopper:
    """Stops prompts of one ComfyUI; whoever gives it another prompt waits until it is free.

    A node looks for an interrupt between two of its steps, so a slow step goes on for a while. Its
    job does not wait for that: only the next job does.
    """

    def __init__(
        self, engine: Engine, *, timing: Timing, now: Callable[[], float] = monotonic
    ) -> None:
        self._engine = engine
        self._timing = timing
        self._now = now
        self._unstopped: dict[PromptId, Unstopped] = {}
        self._listens = True
        self._silent_since: float | None = None  # it listens, and does not answer
        self._free = asyncio.Event()
        self._free.set()

    @property
    def free(self) -> bool:
        """ComfyUI has nothing more that it was to stop."""
        return self._free.is_set()

    async def wait_free(self) -> None:
        await self._free.wait()

    async def stop(self, prompts: Sequence[PromptId], *, patience_s: float) -> bool:
        """Tell ComfyUI to stop them; returns when they are out of it, or False after ``let_go_s``.

        What is not out of it by then is remembered, and looked for by `look`. It counts as hung
        ``patience_s`` from now, and not before ``stop_s``.
        """
        patience_s = max(patience_s, self._timing.stop_s)
        until = self._now() + patience_s
        going_on = {prompt: Unstopped(until, patience_s) for prompt in prompts}
        try:
            async with asyncio.timeout(self._timing.let_go_s):
                await self._strike(going_on)
                while going_on:  # no event tells of all ends: the socket may be down
                    await asyncio.sleep(LOOK_S)
                    await self._strike(going_on)
        except (TimeoutError, EngineError) as left:
            log.warning("prompt_goes_on", prompts=list(going_on), reason=str(left) or "a slow step")
        finally:
            for prompt, unstopped in going_on.items():
                self._unstopped.setdefault(prompt, unstopped)  # an older note has an earlier limit
            self._set_free()
        return not going_on

    async def look(self) -> None:
        """Forget what is out of ComfyUI by now.

        Raises:
            EngineError: it does not answer, or cannot stop a prompt.
        """
        began = self._now()
        self._listens, silent = True, False
        try:
            await self._strike(self._unstopped)
        except EngineUnavailable as away:
            self._listens = not isinstance(away, EngineNotListening)
            silent = self._listens
            raise
        finally:
            since = began if self._silent_since is None else self._silent_since
            self._silent_since = since if silent else None
            self._set_free()

    def forget(self) -> None:
        """ComfyUI was killed, and what it ran with it."""
        self._unstopped.clear()
        self._silent_since = None
        self._set_free()

    @property
    def hung(self) -> str | None:
        """Return why ComfyUI is not expected to become free by itself; None while it is."""
        if self.free or not self._listens:  # a process that has ended runs nothing
            return None
        now, stop_s = self._now(), self._timing.stop_s
        if self._silent_since is not None and now - self._silent_since >= stop_s:
            return f"ComfyUI was told to stop a prompt and has not answered for {stop_s:g} s"
        late = [each.patience_s for each in self._unstopped.values() if now >= each.until]
        return f"ComfyUI did not stop within {max(late):.0f} s" if late else None

    async def _strike(self, going_on: dict[PromptId, Unstopped]) -> None:
        """Tell ComfyUI of those that it was not told of, drop those that it has stopped."""
        for prompt, unstopped in list(going_on.items()):
            if not unstopped.asked:
                await self._answered(self._engine.cancel(prompt))
                unstopped.asked = True
            if await self._answered(self._engine.find(prompt)) not in LIVE:
                going_on.pop(prompt, None)  # `forget` may have been faster

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
        else:
            self._free.set()
