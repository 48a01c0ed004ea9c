"""One system of real processes, in which tests break things; and the promise that it keeps."""

import fcntl
import io
import itertools
import json
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from blake3 import blake3
from PIL import Image

from tests.e2e.faults.client import Client, Json, until
from tests.e2e.faults.comfy import Comfy, Simulated
from tests.faulty_process import FAULTS
from tests.processes import Process, Processes

FAST = {
    "COMFYQ_LEASE_S": "3",
    "COMFYQ_VISIBILITY_S": "3",
    "COMFYQ_RENEW_S": "1",
    "COMFYQ_WATCH_S": "0.2",
    "COMFYQ_REAP_PERIOD_S": "0.3",
    "COMFYQ_RETRY_S": "0.2",
    "COMFYQ_UNAVAILABLE_S": "0.2",
    "COMFYQ_SILENT_S": "2",
    "COMFYQ_STOP_S": "2",
    "COMFYQ_BEAT_S": "0.5",
    "COMFYQ_LIVE_S": "3",
    "COMFYQ_WAIT_S": "2",
}
"""Leases and time-outs of 3 s and less, for the API and for workers."""

_names = itertools.count(1)


class Lab:
    """A running ``up`` without workers, and what a test starts beside it."""

    def __init__(self, folder: Path, *, up: Process, backend: str) -> None:
        self.processes = Processes(folder)
        self.client = Client(up.url)
        self.up = up
        self.backend = backend
        self._folder = folder

    def simulator(self, *options: object, unmarked: bool = False) -> Simulated:
        return Simulated(self.processes, options=options, unmarked=unmarked)

    def worker(
        self,
        *comfyui: Comfy,
        worker_id: str | None = None,
        options: Sequence[object] = (),
        env: Mapping[str, str] | None = None,
        faults: Sequence[Mapping[str, Any]] = (),
    ) -> Process:
        """A worker process; ``faults`` are rules of ``comfyq.testing.faults``.

        On the embedded backend it shares the API's folder, so that its death is seen at once. On
        the emulator it is a machine of its own, and only its lease tells that it is gone.
        """
        own = dict(env or {})
        if faults:
            own[FAULTS] = json.dumps(list(faults))
        if self.backend != "embedded":
            own.setdefault("COMFYQ_DATA_DIR", str(self._folder / "machine"))
        return self.processes.worker(
            comfyui=[each.url for each in comfyui],
            up=self.up,
            worker_id=worker_id,
            options=options,
            env={**FAST, **own},
        )

    def close(self) -> None:
        self.client.close()
        self.processes.close()

    def reason(self, worker_id: str) -> str:
        """Return a worker's reason for which its ComfyUI is not available."""
        reasons = {worker["id"]: worker["reason"] for worker in self.client.health()["workers"]}
        return reasons.get(worker_id) or ""

    def answers(self, worker_id: str) -> bool:
        """Return whether a worker says that its ComfyUI is available."""
        workers = self.client.health()["workers"]
        return any(w["id"] == worker_id and w["comfyui_available"] for w in workers)

    def freeze(self, process: Process) -> float:
        """SIGSTOP, at a moment at which it writes nothing; when that was.

        On the embedded backend, whoever is stopped in the millisecond of a write keeps the file's
        lock, and all others wait until it is woken.
        """
        process.signal(signal.SIGSTOP)
        while self._holds_database():
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGSTOP)
        return time.monotonic()

    def _holds_database(self) -> bool:
        """For as long as a writer needs at most, somebody has had the file's lock."""
        lock = self.up.data_dir / "comfyq.db.lock"
        if not lock.exists():
            return False
        with lock.open("rb") as file, suppress(AssertionError):
            until(lambda: _is_free(file), "the database is free", within_s=1)
            return False
        return True

    def died(self, process: Process) -> float:
        """Wait for a process to be killed; when that was seen."""
        until(lambda: process.code is not None, "the worker is dead")
        assert process.code == -signal.SIGKILL, process.log
        return time.monotonic()

    def check(self, job_id: str, status: str, verdicts: Sequence[str] | None = None) -> Json:
        """The promise, for one job: one end, announced, and results of the winning attempt."""
        follower = self.client.follower(job_id)
        follower.wait_end()
        story = self.client.story(job_id)
        ends = {frame["status"] for frame in follower.frames if frame["status"] in ENDED}
        assert (story["status"], ends) == (status, {status}), story
        assert follower.close_code == 1000
        attempts = story["attempts"]
        if verdicts is not None:
            assert [attempt["verdict"] for attempt in attempts] == list(verdicts), attempts
        wins = [a["number"] for a in attempts if a["verdict"] == "succeeded"]
        assert wins == ([story["attempt"]] if status == "completed" else []), attempts
        assert bool(story["outputs"]) == (status == "completed")
        for output in story["outputs"]:
            self._check_output(story, output)
        return story

    def _check_output(self, story: Json, output: Json) -> None:
        body = self.client.download(output["url"])
        assert (len(body), blake3(body).hexdigest()) == (output["size"], output["blake3"])
        with Image.open(io.BytesIO(body)) as picture:
            picture.load()
            graph = json.loads(picture.info["prompt"])
        prefixes = [n["inputs"].get("filename_prefix", "") for n in graph.values()]
        for prefix in filter(None, prefixes):  # a preview has none
            _, job_id, attempt, _ = prefix.split("/")
            assert job_id == story["id"]
            number = int(attempt.partition("-")[0])  # what follows cannot be guessed
            assert number <= story["attempt"]  # an earlier one where it was adopted


def upload_delayed(seconds: float) -> Mapping[str, Any]:
    """A fault: a result is on its way to storage for that long."""
    rule = {"port": "assets", "call": "put", "about": "outputs/", "when": "before"}
    return {**rule, "do": "delay", "seconds": seconds}


def _is_free(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(file, fcntl.LOCK_UN)
    return True


def new_name(kind: str) -> str:
    """A worker id that no other test has used."""
    return f"{kind}{next(_names)}"


ENDED = frozenset({"completed", "failed", "canceled"})
