"""Very many jobs that are due for their deletion: what clients wait for comes first."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.e2e.faults.client import Client
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import FAST
from tests.job_copies import count_ended, store_copies
from tests.processes import Processes
from tests.urgent_jobs import store_urgent

DUE = 10_000
RETENTION_S = 5  # until the jobs that are copied are due as well
NAP = {"seconds": 0.1}


@pytest.mark.verify
@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_repairs_beside_many_deletions(
    backend: str, workflows: Path, processes: Processes, tmp_path: Path, record: Record
) -> None:
    data_dir, env = tmp_path / "data", {**FAST, "COMFYQ_WORKFLOWS_DIR": str(workflows)}
    simulator = processes.simulator(options=["--step-s", "0"])
    retention = {"COMFYQ_RETENTION_S": str(RETENTION_S)}
    first = processes.up(comfyui=[simulator.url], data_dir=data_dir, env=env | retention)
    client = Client(first.url)
    originals = [client.submit("nap", **NAP) for _ in range(4)]
    for job_id in originals:
        client.until(job_id, lambda job: job["status"] == "completed", "completed")
    assert first.stop() == 0
    store_copies(data_dir, originals, DUE)
    urgent = asyncio.run(store_urgent(data_dir, workflows, "nap", NAP, NAP))
    time.sleep(RETENTION_S)

    second = processes.up(comfyui=[simulator.url], data_dir=data_dir, env=env)
    ready, client = time.monotonic(), Client(second.url)
    for job_id in urgent:
        client.until(job_id, lambda job: job["status"] == "completed", "completed")
    repaired = time.monotonic()
    assert count_ended(data_dir) > DUE / 2, "deletions wait for repairs, not these for deletions"
    record(
        f"{DUE:,} jobs due for their deletion: a lost doorbell, a lapsed lease", repaired - ready
    )
