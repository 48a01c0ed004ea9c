"""The side of the measurement that commands a process of sockets."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comfyq.config import PROJECT
from tests.bench.sockets.delays import Received

ANSWER_S = 120.0


@dataclass(frozen=True, slots=True)
class Opened:
    """The seconds until all sockets were open, and until each was shown its job."""

    open_s: float
    shown_s: float


@dataclass(frozen=True, slots=True)
class Stalled:
    """What a socket that was not read from was sent, and whether the server had closed it."""

    frames: int
    cut_off: bool


class Crowd:
    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder

    async def open(self, url: str, paths: Sequence[str]) -> Opened:
        return Opened(**await self._told(do="open", url=url, paths=list(paths)))

    async def received(self) -> Sequence[Received]:
        """Return the frames that have come since this was last asked, in order."""
        file = self._folder / "frames.json"
        await self._told(do="read", into=str(file))
        return [(moment, number, text) for moment, number, text in json.loads(file.read_text())]

    async def close(self) -> None:
        await self._told(do="close")

    async def stall(self, url: str, path: str) -> None:
        """Open a socket that is not read from."""
        await self._told(do="stall", url=url, path=path)

    async def drain(self) -> Stalled:
        """Read what that socket was sent, and close it."""
        return Stalled(**await self._told(do="drain"))

    async def _told(self, **command: object) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(command).encode() + b"\n")
        async with asyncio.timeout(ANSWER_S):
            line = await stdout.readline()
        assert line, "the process of sockets has ended; what it said is above"
        return json.loads(line)


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    """Run a process of sockets, which ends with the body."""
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.sockets.crowd_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=PROJECT,
        )
        try:
            yield Crowd(process, Path(folder))
        finally:
            process.kill()
            await process.wait()
