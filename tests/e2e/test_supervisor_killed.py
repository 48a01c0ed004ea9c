"""kill -9 of whoever supervises a ComfyUI: its successor starts no second one beside the first."""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from comfyq.aio.tasks import beside
from comfyq.bootstrap.supervision import SupervisorTaken, take_charge
from comfyq.config import Settings
from comfyq.local.processes.left_process import ProcessNote
from comfyq.local.processes.process_table import process_of
from comfyq.local.supervisor import Supervisor
from tests.e2e.faults.client import until
from tests.processes import Processes

pytestmark = pytest.mark.anyio

PATIENCE_S = 5.0


class Comfy:
    """A command that writes its pid to a file, once for each start, and stays."""

    def __init__(self, folder: Path) -> None:
        self._starts = folder / "starts"
        script = folder / "comfy.sh"
        script.write_text(f"echo $$ >> {shlex.quote(str(self._starts))}\nsleep 600 & wait\n")
        self.command = f"sh {shlex.quote(str(script))}"

    @property
    def pids(self) -> list[int]:
        return [int(line) for line in self._starts.read_text().split()] if self.started else []

    @property
    def started(self) -> bool:
        return self._starts.exists()


def lives(pid: int) -> bool:
    return process_of(pid) is not None


@pytest.fixture
def comfy(tmp_path: Path) -> Iterator[Comfy]:
    comfy = Comfy(tmp_path)
    yield comfy
    for pid in comfy.pids:
        if lives(pid):
            os.killpg(os.getpgid(pid), signal.SIGKILL)


def test_the_successor_of_a_killed_up_stops_what_that_one_started(
    processes: Processes, comfy: Comfy, tmp_path: Path
) -> None:
    options = ("--comfyui-command", comfy.command)
    first = processes.up(workers=0, options=options, data_dir=tmp_path / "data")
    until(lambda: len(comfy.pids) == 1, "ComfyUI is started")
    first.kill()
    assert lives(comfy.pids[0])
    second = processes.up(workers=0, options=options, data_dir=tmp_path / "data")
    until(lambda: len(comfy.pids) == 2, "it is started anew")
    old, new = comfy.pids
    assert (lives(old), lives(new)) == (False, True)
    assert "comfyui_left_behind" in second.log
    assert second.stop() == 0
    assert not lives(new)


def test_a_second_supervisor_of_one_comfyui_is_refused(tmp_path: Path) -> None:
    settings, url = Settings(data_dir=tmp_path), "http://127.0.0.1:8188"
    first = take_charge(settings, [url])
    with pytest.raises(SupervisorTaken, match=f"starts the ComfyUI at {url}"):
        take_charge(settings, [url])
    take_charge(settings, ["http://another:8188"]).release()
    first.release()
    take_charge(settings, [url]).release()


async def test_a_stranger_with_the_pid_of_the_note_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "process.json"
    async with await anyio.open_process(["sleep", "600"], start_new_session=True) as stranger:
        note = ProcessNote(path)
        note.write(stranger.pid)
        path.write_text(path.read_text().replace('"started": "', '"started": "0'))
        await note.end(patience_s=PATIENCE_S)
        assert stranger.returncode is None
        stranger.kill()


async def test_what_heeds_no_signal_is_killed(tmp_path: Path) -> None:
    deaf = [sys.executable, "-c", "import signal, time; signal.signal(15, lambda *_: 0);"]
    deaf[-1] += "print(flush=True); time.sleep(600)"
    async with await anyio.open_process(deaf, start_new_session=True) as left:
        assert left.stdout is not None
        await left.stdout.receive()
        note = ProcessNote(tmp_path / "process.json")
        note.write(left.pid)
        began = time.monotonic()
        await note.end(patience_s=0.3)
        assert time.monotonic() - began < PATIENCE_S
        assert await left.wait() == -signal.SIGKILL


KILLED = """
import asyncio, os, sys
from pathlib import Path
from comfyq.local.processes.left_process import ProcessNote
from comfyq.local.supervisor import Supervisor

class Deadly(ProcessNote):
    def write(self, pid):
        print(pid, flush=True)
        os.kill(os.getpid(), 9)

asyncio.run(Supervisor(sys.argv[1], note=Deadly(Path("none"))).run())
"""


async def test_nothing_runs_whose_supervisor_died_before_it_was_noted(comfy: Comfy) -> None:
    ended = await anyio.run_process([sys.executable, "-c", KILLED, comfy.command], check=False)
    assert ended.returncode == -signal.SIGKILL
    pid = int(ended.stdout)
    with anyio.fail_after(PATIENCE_S):
        while lives(pid):  # noqa: ASYNC110 - it is not our child
            await anyio.sleep(0.01)
    assert not comfy.started


async def test_an_orderly_end_leaves_no_note(comfy: Comfy, tmp_path: Path) -> None:
    path = tmp_path / "process.json"
    supervisor = Supervisor(comfy.command, note=ProcessNote(path))
    async with asyncio.timeout(PATIENCE_S), beside(supervisor.run()):
        while not path.exists():  # noqa: ASYNC110 - a file has no event to wait for
            await asyncio.sleep(0.01)
    assert not path.exists()


async def test_what_is_started_gets_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    for name in (
        "COMFYQ_LINK_SECRET",
        "AWS_SECRET_ACCESS_KEY",
        "MINIO_SECRET_KEY",
        "ECS_AGENT_URI",
    ):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("HF_HOME", "/models")
    command = f"env > {shlex.quote(str(seen))}.new; mv {seen}.new {seen}; sleep 600"
    async with beside(Supervisor(command, note=ProcessNote(tmp_path / "note")).run()):
        while not seen.exists():  # noqa: ASYNC110
            await anyio.sleep(0.01)
    variables = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert variables["HF_HOME"] == "/models"
    assert "secret" not in variables.values()
