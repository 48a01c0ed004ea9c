"""comfyq's own commands as processes that end with this one."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

START_S = 60.0
STOP_S = 120.0  # a worker finishes what ComfyUI has begun
LOG_CHARS = 4_000


class NotStarted(Exception):
    """The message has the process's log."""


@asynccontextmanager
async def child(
    command: str, *arguments: object, env: Mapping[str, str], log: Path
) -> AsyncIterator[Mapping[str, Any]]:
    """Run ``comfyq COMMAND``; yields what it tells when it is ready.

    Raises:
        NotStarted.
    """
    with log.open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "comfyq.cli", command, *map(str, arguments), "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=err,
            env={"PATH": os.defpath, "HOME": str(log.parent), **env},
        )
    try:
        yield await _ready(process, command, log)
    finally:
        await _stop(process)


async def _ready(process: asyncio.subprocess.Process, command: str, log: Path) -> Any:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_S)
    except TimeoutError:
        line = b""
    if not line:
        raise NotStarted(f"comfyq {command} does not start; its log:\n{_end_of(log)}")
    return json.loads(line)


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_CHARS:]


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
