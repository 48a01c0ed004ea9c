"""A function with as many execution environments as are called at once."""

import asyncio
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.aws_local.runtime_api import FunctionFailed
from infra.aws_local.sandbox import Sandbox, Spec

AT_ONCE = 4  # sandboxes of one function
MAX_EVENT_BYTES = 6 * 1024 * 1024

Event = Mapping[str, Any]


class TooLarge(Exception):
    """The event has more than Lambda takes."""


@dataclass
class Figures:
    """The measurements of one function."""

    init_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)  # of each sandbox's first invocation
    warm_ms: list[float] = field(default_factory=list)  # of every other one
    peak_mb: float = 0.0
    failures: int = 0


class Function:
    def __init__(self, spec: Spec, *, surroundings: Mapping[str, str], logs: Path) -> None:
        self.spec = spec
        self.figures = Figures()
        self._surroundings = surroundings
        self._logs = logs
        self._numbers = itertools.count()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._idle: list[Sandbox] = []
        self._all: set[Sandbox] = set()

    async def invoke(self, event: Event) -> Any:
        """The function's answer.

        Raises:
            TooLarge: see there.
            FunctionFailed: it raised, took too long, or does not start.
        """
        payload = json.dumps(event).encode()
        if len(payload) > MAX_EVENT_BYTES:
            raise TooLarge(f"an event of {len(payload)} bytes")
        async with self._slots:
            try:
                return json.loads(await self._answer(payload))
            except FunctionFailed:
                self.figures.failures += 1
                raise

    async def _answer(self, payload: bytes) -> bytes:
        warm = bool(self._idle)
        sandbox = self._idle.pop() if warm else await self.started()
        try:
            began = time.perf_counter()
            answer = await sandbox.invoke(payload)
            took_ms = (time.perf_counter() - began) * 1000
            (self.figures.warm_ms if warm else self.figures.first_ms).append(took_ms)
            return answer
        finally:
            self.figures.peak_mb = max(self.figures.peak_mb, sandbox.peak_mb)
            if sandbox.usable:
                self._idle.append(sandbox)

    async def started(self) -> Sandbox:
        """A new sandbox, which nobody uses yet."""
        log = self._logs / f"{self.spec.name}-{next(self._numbers)}.log"
        sandbox = Sandbox(self.spec, surroundings=self._surroundings, log=log)
        self._all.add(sandbox)
        await sandbox.start()
        self.figures.init_ms.append(sandbox.init_ms)
        return sandbox

    async def stop(self) -> None:
        for sandbox in self._all:
            await sandbox.stop()
        self._all.clear()
        self._idle.clear()
