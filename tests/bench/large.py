"""Is a large result ever held whole in memory?

``python -m tests.bench.large [GIGABYTES] [BACKEND …]``: a video goes from a simulated ComfyUI into
storage and is downloaded again; the peak RSS of each process on the way. Disks need three times
that size for a moment.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from blake3 import blake3

from tests.bench.stack import simulated, stack

GIGABYTE = 10**9
CHUNK_BYTES = 2**20
DEADLINE_S = 600.0
CALL_S = 60.0
GRAPH: Mapping[str, Any] = {
    "1": {
        "class_type": "EmptyImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0},
    },
    "2": {
        "class_type": "SaveWEBM",
        "inputs": {
            "images": ["1", 0],
            "filename_prefix": "large",
            "codec": "vp9",
            "fps": 6.0,
            "crf": 40.0,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most memory that each process ever had (MB of RSS), and how long it took."""

    worker_mb: float
    api_mb: float
    stored_s: float
    downloaded_s: float


def peak_mb(pid: int) -> float:
    [line] = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line
    ]
    return int(line.split()[1]) / 1024


def measure(size: int, *, backend: str = "embedded") -> Peaks:
    """Raises AssertionError if what is downloaded is not what was stored."""
    with (
        simulated("--video-bytes", size) as simulator,
        stack([simulator.url], backend=backend) as servers,
    ):
        began = time.monotonic()
        job = _run(servers.up.url)
        stored = time.monotonic()
        [output] = job["outputs"]
        assert output["size"] == size
        assert _downloaded(output["url"]) == (size, output["blake3"])
        return Peaks(
            worker_mb=peak_mb(servers.workers[0].pid),
            api_mb=peak_mb(servers.up.pid),
            stored_s=stored - began,
            downloaded_s=time.monotonic() - stored,
        )


def _run(url: str) -> dict[str, Any]:
    answer = requests.post(f"{url}/generate", json={"graph": GRAPH}, timeout=CALL_S)
    assert answer.status_code == 202, answer.text
    link = answer.json()["urls"]["self"]
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        answer = requests.get(link, timeout=CALL_S)
        job: dict[str, Any] = answer.json()
        # The emulator does one thing at a time: while it writes the file, it may not answer.
        if answer.status_code != 503 and job["status"] not in ("queued", "running"):
            assert job["status"] == "completed", job
            return job
        time.sleep(0.1)
    raise AssertionError(f"after {DEADLINE_S:g} s {link} has not ended")


def _downloaded(url: str) -> tuple[int, str]:
    hasher, size = blake3(), 0
    with requests.get(url, stream=True, timeout=CALL_S) as answer:
        assert answer.status_code == 200, answer.text
        for chunk in answer.iter_content(CHUNK_BYTES):
            hasher.update(chunk)
            size += len(chunk)
    return size, hasher.hexdigest()


def main(size: int, backends: list[str]) -> None:
    print(
        f"| a result of {size / GIGABYTE:g} GB | worker's peak RSS (MB) | API's (MB) "
        "| rendered and stored (s) | downloaded (s) |\n|---|---|---|---|---|"
    )
    for backend in backends:
        peaks = measure(size, backend=backend)
        print(
            f"| {backend} | {peaks.worker_mb:.0f} | {peaks.api_mb:.0f} "
            f"| {peaks.stored_s:.1f} | {peaks.downloaded_s:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main(
        round(float(sys.argv[1]) * GIGABYTE) if len(sys.argv) > 1 else GIGABYTE,
        sys.argv[2:] or ["embedded", "emulator"],
    )
