"""kill -9 of the whole front door, and what its successor makes of it."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.processes import Process, Processes

WAIT_S = 60.0


def submit(up: Process, **request: Any) -> str:
    body = json.dumps({"prompt": "a cat", "width": 64, "height": 64, **request}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{up.url}/generate", data=body, headers=headers)
    ) as answer:
        job_id: str = json.load(answer)["id"]
        return job_id


def job(url: str, job_id: str, page: str = "") -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/generate/{job_id}{page}") as answer:
        content: dict[str, Any] = json.load(answer)
        return content


def until(url: str, job_id: str, status: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while (now := job(url, job_id)["status"]) != status:
        assert time.monotonic() < deadline, f"{job_id} is {now}, not {status}"
        assert now not in ("failed", "canceled"), job(url, job_id)
        time.sleep(0.01)


def until_one_runs(url: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not job_list(url, "running"):
        assert time.monotonic() < deadline, "no job runs"
        time.sleep(0.01)


def job_list(url: str, status: str) -> list[Any]:
    with urllib.request.urlopen(f"{url}/generate?status={status}") as answer:
        jobs: list[Any] = json.load(answer)["jobs"]
        return jobs


def renders(simulator: Process) -> dict[str, int]:
    with urllib.request.urlopen(f"{simulator.url}/simulator/stats") as answer:
        counts: dict[str, int] = json.load(answer)["images_by_prompt"]
        return counts


def test_eleven_jobs_outlive_the_front_door_and_none_renders_twice(
    processes: Processes, tmp_path: Path
) -> None:
    """The lease of 120 s is never waited for: the kernel tells at once that a worker is gone."""
    simulator = processes.simulator(options=["--step-s", "0.05"])
    first = processes.up(comfyui=[simulator.url], data_dir=tmp_path / "data")
    ids = [submit(first, steps=20, seed=n) for n in range(11)]
    until_one_runs(first.url)
    first.kill()

    second = processes.up(comfyui=[simulator.url], data_dir=tmp_path / "data")
    began = time.monotonic()
    for job_id in ids:
        until(second.url, job_id, "completed")
    assert time.monotonic() - began < 120, "a lease was waited for"

    assert len({job(second.url, job_id)["outputs"][0]["blake3"] for job_id in ids}) == 11
    assert all(len(job(second.url, job_id)["outputs"]) == 1 for job_id in ids)
    counts = renders(simulator)
    assert len(counts) == 11
    assert set(counts.values()) == {1}, "something was rendered twice"


def test_with_its_own_simulator_gone_as_well_every_job_still_ends(
    processes: Processes, tmp_path: Path
) -> None:
    first = processes.up(data_dir=tmp_path / "data")
    ids = [submit(first, steps=20, seed=n) for n in range(11)]
    until_one_runs(first.url)
    first.destroy()

    second = processes.up(data_dir=tmp_path / "data")
    for job_id in ids:
        until(second.url, job_id, "completed")
        assert len(job(second.url, job_id)["outputs"]) == 1
