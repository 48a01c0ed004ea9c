"""The pending, running and ended prompts."""

import asyncio
import heapq
import time
from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from comfyui_simulator.faults import FaultSwitch
from comfyui_simulator.messages import JsonObject

LONGEST_HISTORY = 10_000


@dataclass(frozen=True, order=True)
class Prompt:
    """One accepted graph. Lower numbers run first."""

    number: float
    prompt_id: str
    graph: dict[str, dict[str, Any]] = field(compare=False)
    extra_data: JsonObject = field(compare=False)
    outputs: list[str] = field(compare=False)

    def as_json(self) -> list[Any]:
        return [self.number, self.prompt_id, self.graph, self.extra_data, self.outputs]

    @property
    def client_id(self) -> str | None:
        """Return the client that gets the prompt's events; None if the prompt named none."""
        return self.extra_data.get("client_id")


class DuplicatePrompt(Exception):
    """A pending prompt has this number and id. The new one is queued nevertheless."""


class PromptQueue:
    """The waiting prompts and the running one; `on_change` is called when either changes."""

    def __init__(self, *, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._pending: list[Prompt] = []
        self._arrived = asyncio.Event()
        self.running: Prompt | None = None

    @property
    def pending(self) -> list[Prompt]:
        return list(self._pending)

    @property
    def remaining(self) -> int:
        return len(self._pending) + (self.running is not None)

    def put(self, prompt: Prompt) -> None:
        """Queue a prompt. Raises DuplicatePrompt, as ComfyUI fails to compare two graphs."""
        is_duplicate = prompt in self._pending
        heapq.heappush(self._pending, prompt)
        self._arrived.set()
        if is_duplicate:
            raise DuplicatePrompt(prompt.prompt_id)
        self._on_change()

    async def take(self) -> Prompt:
        """Wait for the next prompt; it runs from now on."""
        while not self._pending:
            self._arrived.clear()
            await self._arrived.wait()
        self.running = heapq.heappop(self._pending)
        self._on_change()
        return self.running

    def finish(self) -> None:
        """Note that no prompt runs any more."""
        self.running = None
        self._on_change()

    def clear(self) -> None:
        self._pending.clear()
        self._on_change()

    def delete(self, prompt_id: str) -> bool:
        """Remove one pending prompt; whether there was one. A running one is left alone."""
        for prompt in self._pending:
            if prompt.prompt_id == prompt_id:
                self._pending = [kept for kept in self._pending if kept is not prompt]
                heapq.heapify(self._pending)
                if not self._pending:
                    self._on_change()  # ComfyUI sends it twice when the queue becomes empty
                self._on_change()
                return True
        return False


@dataclass(frozen=True)
class _Ended:
    item: JsonObject
    at_s: float


class History:
    """Ended prompts, oldest first; a later run under the same id replaces an earlier one."""

    def __init__(self, *, faults: FaultSwitch) -> None:
        self._faults = faults
        self._ended: dict[str, _Ended] = {}

    def add(self, prompt_id: str, item: JsonObject) -> None:
        if len(self._ended) > LONGEST_HISTORY:
            self._ended.pop(next(iter(self._ended)))
        self._ended[prompt_id] = _Ended(item, time.monotonic())

    def get(self, prompt_id: str) -> JsonObject | None:
        """Return a copy of an entry, as ComfyUI does: RecursionError, if it is nested deeply."""
        ended = self._ended.get(prompt_id)
        return deepcopy(ended.item) if ended and self._is_visible(ended) else None

    def items(self) -> Iterator[tuple[str, JsonObject]]:
        for prompt_id, ended in self._ended.items():
            if self._is_visible(ended):
                yield prompt_id, ended.item

    def clear(self) -> None:
        self._ended.clear()

    def delete(self, prompt_ids: Collection[str]) -> None:
        for prompt_id in prompt_ids:
            self._ended.pop(prompt_id, None)

    def _is_visible(self, ended: _Ended) -> bool:
        return time.monotonic() - ended.at_s >= self._faults.now.delay_history_s
