"""comfyq's servers as real processes, to be stopped, or killed as power cuts and the kernel do."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from comfyq.bootstrap.runtime_file import COMFYUI_URLS, read_runtime
from tests.bench.sockets.delays import POSTS
from tests.faulty_process import CLOCK_AHEAD_S, FAULTS
from tests.unmarked_simulator import UNMARKED

# What serves: one process of `comfyq up`, or what `make aws-local` names instead of it.
SERVER = os.environ.get("COMFYQ_TEST_SERVER", "comfyq.cli")  # noqa: TID251 - a switch of the tests

ROOT = Path(__file__).parents[1]

START_S = 60.0  # two cores may be shared with other tests
STOP_S = 30.0
POLL_S = 0.01
LOG_CHARS = 4_000


class Process:
    """One ``comfyq`` command with ``--json``: its first line of output says that it serves.

    It leads a process group of its own, so what it starts can be found and ended with it.
    """

    def __init__(self, *command: object, log: Path, env: Mapping[str, str]) -> None:
        self.arguments = [str(part) for part in command]
        module = SERVER if self.arguments[0] == "up" else "comfyq.cli"
        if any(name in env for name in (FAULTS, CLOCK_AHEAD_S)):
            module = "tests.faulty_process"
        if POSTS in env:
            module = "tests.bench.sockets.timed_process"
        if UNMARKED in env:
            module = "tests.unmarked_simulator"
        self._log = log
        self._told = log.with_suffix(".out")
        with log.open("wb") as err, self._told.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *self.arguments, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=ROOT,
                env=dict(env),
                start_new_session=True,
            )
        self.ready: Mapping[str, Any] = {}
        self.exports: Mapping[str, str] = {}  # of an ``up``: with them another process joins it

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        url: str = self.ready["url"]
        return url

    @property
    def data_dir(self) -> Path:
        return Path(self.ready["data_dir"])

    @property
    def log(self) -> str:
        """Return what it has logged so far."""
        return self._log.read_text(errors="replace")

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait_ready(self) -> None:
        """Return when it serves; AssertionError with its log where it ends or hangs instead."""
        deadline = time.monotonic() + START_S
        while not (output := self._told.read_text()).endswith("\n"):
            assert self.code is None, self._story(f"ended with {self.code}")
            assert time.monotonic() < deadline, self._story("is not ready")
            time.sleep(POLL_S)
        self.ready = json.loads(output.splitlines()[0])
        if self.arguments[0] == "up":
            published = dict(read_runtime(self.data_dir))
            published.pop(COMFYUI_URLS, None)  # no variable; what stands in for AWS has none
            self.exports = published

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Its exit code once it has ended; AssertionError where it does not."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(self._story(f"has not ended within {timeout_s} s")) from None

    def has_ended_within(self, timeout_s: float) -> bool:
        """Wait for its end, but no longer than that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.code is not None

    def stop(self, timeout_s: float = STOP_S) -> int:
        """SIGTERM: it drains and ends; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL: it has no time for anything. What it started itself lives on."""
        self.signal(signal.SIGKILL)
        self.wait()

    def destroy(self) -> None:
        """End whatever is left of it and of what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def _story(self, what: str) -> str:
        return f"comfyq {' '.join(self.arguments)} {what}; its log:\n{self.log[-LOG_CHARS:]}"


class Processes:
    """Starts servers whose data are below ``folder``; ``close`` leaves none of them.

    Each is ready when its method returns. They see no settings but those that they are given.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()  # several threads may start processes
        self._started: list[Process] = []

    def up(
        self,
        *,
        workers: int | None = None,
        comfyui: Sequence[str] = (),
        backend: str = "embedded",
        data_dir: Path | None = None,
        port: int = 0,
        options: Sequence[object] = (),
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """``comfyq up``; one that follows a killed one takes the same ``data_dir``."""
        return self._start(
            *("up", "--port", port, "--backend", backend),
            *("--data-dir", data_dir or self._folder / "data"),
            *(() if workers is None else ("--workers", workers)),
            *(part for url in comfyui for part in ("--comfyui", url)),
            *options,
            env=env,
        )

    def worker(
        self,
        *,
        comfyui: Sequence[str],
        up: Process,
        worker_id: str | None = None,
        options: Sequence[object] = (),
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """``comfyq worker`` for the jobs of ``up``, which need not run."""
        return self._start(
            "worker",
            *(part for url in comfyui for part in ("--comfyui", url)),
            *(() if worker_id is None else ("--worker-id", worker_id)),
            *options,
            env={**up.exports, **(env or {})},
        )

    def simulator(
        self,
        *,
        port: int = 0,
        generation: str = "0.33.0",
        options: Sequence[object] = (),
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """``comfyq simulator``, a ComfyUI that outlives whoever uses it."""
        command = ("simulator", "--port", port, "--generation", generation)
        return self._start(*command, *options, env=env)

    def mcp(
        self,
        up: Process,
        *,
        options: Sequence[object] = (),
        key: str = "",
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """``comfyq mcp`` over HTTP, for the workflows of ``up``."""
        env = {"COMFYQ_URL": up.url, **(env or {})} | ({"COMFYQ_API_KEY": key} if key else {})
        return self._start("mcp", "--http", "--port", 0, *options, env=env)

    def close(self) -> None:
        for process in reversed(self._started):
            process.destroy()

    def _start(self, *command: object, env: Mapping[str, str] | None = None) -> Process:
        log = self._folder / f"{next(self._numbers)}-{command[0]}.log"
        process = Process(*command, log=log, env=clean_env(self._folder, env))
        self._started.append(process)
        process.wait_ready()
        return process


def clean_env(home: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without the settings of whoever runs the tests."""
    return {"PATH": os.getenv("PATH", os.defpath), "HOME": str(home), **(env or {})}


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Servers of one test, all gone after it."""
    started = Processes(tmp_path)
    try:
        yield started
    finally:
        started.close()
