"""The ComfyUIs of these tests: simulators and real ones, each a process that can be killed."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import requests

from comfyq.domain.job import JobId
from comfyq.services.worker.prompts import prompt_id
from tests.e2e.faults.client import CALL_S, Json, until
from tests.processes import Process, Processes, clean_env
from tests.unmarked_simulator import UNMARKED

RUN = Path(__file__).parents[3] / "infra" / "comfyui" / "run.sh"
MAX_ATTEMPTS = 20


class Comfy(Protocol):
    url: str

    def renders(self, job_id: str) -> int:
        """Count how often the job's picture was made, whatever became of it."""
        ...

    def holds(self, job_id: str) -> bool:
        """Return whether a prompt of the job runs or waits in it."""
        ...

    def kill(self) -> None: ...

    def restart(self) -> None:
        """Start it again at the same URL, with nothing in its memory."""
        ...


class _ByUrl:
    """Queries that any ComfyUI answers."""

    url: str

    def holds(self, job_id: str) -> bool:
        queue = self.get("queue")
        listed = {entry[1] for part in queue.values() for entry in part}
        return not listed.isdisjoint(prompts_of(job_id))

    def get(self, path: str) -> Json:
        answer: Json = requests.get(f"{self.url}/{path}", timeout=CALL_S).json()
        return answer


class Simulated(_ByUrl):
    """``unmarked``: it passes for a real ComfyUI."""

    def __init__(
        self, processes: Processes, *, options: tuple[object, ...] = (), unmarked: bool = False
    ) -> None:
        self._processes = processes
        self._options = options
        self._env = {UNMARKED: "1"} if unmarked else {}
        self._process = processes.simulator(options=options, env=self._env)
        self.url = self._process.url

    @property
    def process(self) -> Process:
        return self._process

    @property
    def temp(self) -> Path:
        """Its folder of previews."""
        return self._process.data_dir / "temp"

    def renders(self, job_id: str) -> int:
        by_prompt: Mapping[str, int] = self.stats()["images_by_prompt"]
        return sum(by_prompt.get(prompt, 0) for prompt in prompts_of(job_id))

    def stats(self) -> Json:
        return self.get("simulator/stats")

    def fault(self, **faults: Any) -> None:
        """Put faults in force; see comfyui_simulator.faults."""
        answer = requests.post(f"{self.url}/simulator/faults", json=faults, timeout=CALL_S)
        assert answer.status_code == 200, answer.text

    def kill(self) -> None:
        self._process.kill()

    def restart(self) -> None:
        port = int(self.url.rpartition(":")[2])
        self._process = self._processes.simulator(port=port, options=self._options, env=self._env)


class Real(_ByUrl):
    """A ComfyUI as `infra/comfyui/prepare.sh` makes it, or one that runs already."""

    def __init__(self, *, directory: Path | None = None, url: str = "") -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.url = url or f"http://127.0.0.1:{free_port()}"
        if directory is not None:
            self.restart()

    @property
    def temp(self) -> Path:
        """Its folder of previews."""
        assert self._directory is not None
        return self._directory / "run" / self.url.rpartition(":")[2] / "temp"

    def renders(self, job_id: str) -> int:
        history = self.get("history")
        ended = [history[prompt] for prompt in prompts_of(job_id) if prompt in history]
        return sum(1 for item in ended if item["status"]["status_str"] == "success")

    def kill(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        assert self._directory is not None
        if self._process is not None:
            self._process.wait(CALL_S)  # killed, or ended by a prompt
        env = clean_env(self._directory, {"PORT": self.url.rpartition(":")[2]})
        self._process = subprocess.Popen(
            [str(RUN), str(self._directory)],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._answers, f"ComfyUI answers at {self.url}", within_s=120)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _answers(self) -> bool:
        assert self._process is None or self._process.poll() is None, "ComfyUI has ended"
        try:
            return bool(self.get("system_stats"))
        except requests.ConnectionError:
            return False


def prompts_of(job_id: str) -> list[str]:
    """The ids of all prompts that any attempt of a job may have submitted."""
    return [prompt_id(JobId(job_id), attempt) for attempt in range(1, MAX_ATTEMPTS + 1)]


def listens(url: str) -> bool:
    """Return whether a ComfyUI's process is there."""
    try:
        requests.get(f"{url}/system_stats", timeout=CALL_S)
    except requests.ConnectionError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
