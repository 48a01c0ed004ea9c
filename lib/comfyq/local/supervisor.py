"""A ComfyUI that we start ourselves, and start again when it dies."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic

from comfyq.aio.logs import log
from comfyq.aio.tasks import beside
from comfyq.bootstrap.supervision import take_charge
from comfyq.config import Settings, foreign_environment
from comfyq.local.private_files import USUAL
from comfyq.local.processes.left_process import ProcessNote

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0  # after running that long, the backoff between restarts begins anew
STOP_S = 15.0
# Nothing runs before it has been noted: without a line of its supervisor the shell ends.
HELD = f"read -r noted || exit; umask {USUAL:03o}; exec < /dev/null\n"  # uvloop takes no umask


class Supervisor:
    """Runs a command line in a process group of its own, with backoff between restarts.

    The command gets none of our settings and no credentials: custom nodes of ComfyUI are not ours.

    ``note`` lets a later supervisor identify the process if this one is killed.
    """

    def __init__(self, command: str, *, note: ProcessNote) -> None:
        self._command = command
        self._note = note
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    async def run(self) -> None:
        """Keep it running until canceled; then stop it."""
        await self._note.end(patience_s=STOP_S)
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                began = monotonic()
                code = await self._run_once()
                pause_s = FIRST_PAUSE_S if monotonic() - began > STEADY_S else pause_s
                log.warning("comfyui_ended", code=code, again_in_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        finally:
            await asyncio.shield(self._stop())
            self._note.clear()

    def restart(self) -> None:
        """Kill it; ``run`` starts it again."""
        self._signal(signal.SIGKILL)

    async def _run_once(self) -> int:
        self._process = await asyncio.create_subprocess_shell(
            HELD + self._command,
            start_new_session=True,
            stdin=asyncio.subprocess.PIPE,
            env=foreign_environment(),
        )
        self.starts += 1
        self._note.write(self._process.pid)
        _release(self._process)
        log.info("comfyui_started", pid=self._process.pid, command=self._command)
        return await self._process.wait()

    async def _stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _release(process: asyncio.subprocess.Process) -> None:
    """Let the command of a held shell run."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.close()


@asynccontextmanager
async def supervising(
    settings: Settings, command: str, comfyui: Sequence[str]
) -> AsyncIterator[Supervisor]:
    """Keep the ComfyUI at ``comfyui`` running while the body runs.

    Raises:
        SupervisorTaken: another process of this data directory does.
    """
    charge = take_charge(settings, comfyui)
    try:
        supervisor = Supervisor(command, note=ProcessNote(charge.note))
        async with beside(supervisor.run()):
            yield supervisor
    finally:
        charge.release()
