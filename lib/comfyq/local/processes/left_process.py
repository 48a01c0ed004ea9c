"""A ComfyUI whose supervisor was killed: the next supervisor finds it by a note and ends it.

It cannot be used any more: its output pipe led to the killed process, and a ComfyUI that cannot
write a log line fails in the middle of a run.
"""

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path

from comfyq.aio.logs import log
from comfyq.local.processes.process_table import process_of, processes

LOOK_S = 0.1


class ProcessNote:
    """Notes the leader of a process group, by pid and start time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, pid: int) -> None:
        process = process_of(pid)
        if process is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps({"pid": pid, "started": process.started}))

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    async def end(self, *, patience_s: float) -> None:
        """End the noted process if it runs; it is killed after ``patience_s``."""
        group = await asyncio.to_thread(self._running)
        if group is not None:
            log.warning("comfyui_left_behind", pid=group)
            await _end(group, patience_s=patience_s)
        self.clear()

    def _running(self) -> int | None:
        """Return the noted pid if it is still the same process, by its start time."""
        try:
            noted = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return None
        process = process_of(noted["pid"])
        if process is None or process.started != noted["started"]:
            return None
        return process.pid if process.group == process.pid else None


async def _end(group: int, *, patience_s: float) -> None:
    _signal(group, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await _gone(group)
        return
    _signal(group, signal.SIGKILL)
    await _gone(group)


async def _gone(group: int) -> None:
    """Wait until all of a process group have ended: a child may be the one that listens."""
    while await asyncio.to_thread(_has_members, group):  # noqa: ASYNC110 - not our child
        await asyncio.sleep(LOOK_S)


def _has_members(group: int) -> bool:
    return any(entry.group == group for entry in processes())


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
