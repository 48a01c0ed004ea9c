"""The API dies, or its queue refuses, around a submission: accepted jobs run, and run once. It dies
canceling a batch: no job of that runs."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.e2e.faults.client import CALL_S, until
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab
from tests.e2e.faults.ownership import Owned, owned
from tests.processes import Process

BODY = {"workflow": "nap", "seconds": 0.1}
SUBMISSION = '"sk":"SPEC"'  # stands in no other write

KILLS: Mapping[str, Mapping[str, Any]] = {
    "before the table": {"port": "table", "call": "write", "about": SUBMISSION, "when": "before"},
    "between table and queue": {"port": "queue", "call": "send", "when": "before"},
    "after the queue": {"port": "queue", "call": "send", "when": "after"},
}
MARK = {"port": "table", "call": "write", "about": '"canceled":true', "when": "after"}
VERIFY = {"before the table", "after the queue"}


@pytest.fixture
def system(backend: str, workflows: Path, tmp_path: Path) -> Iterator[Owned]:
    with owned(tmp_path, backend=backend, workflows=workflows) as system:
        yield system


def post(up: Process, key: str) -> requests.Response:
    url = f"{up.url}/generate"
    return requests.post(url, json=BODY, headers={"Idempotency-Key": key}, timeout=CALL_S)


def finished(lab: Lab, job_id: str) -> float:
    """Start a worker; when the job was seen to have ended, rendered once by one attempt."""
    simulator = lab.simulator()
    lab.worker(simulator)
    story = lab.client.until(job_id, lambda job: job["status"] == "completed", "completed")
    ended = time.monotonic()
    story = lab.client.story(job_id)
    assert [attempt["verdict"] for attempt in story["attempts"]] == ["succeeded"]
    assert simulator.renders(job_id) == 1
    assert lab.client.download(story["image_url"]).startswith(b"\x89PNG")
    return ended


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(name, id=name, marks=[pytest.mark.verify] if name in VERIFY else [])
        for name in KILLS
    ],
)
def test_killed_in_a_submission(moment: str, system: Owned, record: Record) -> None:
    doomed = system.up(faults=[{**KILLS[moment], "do": "kill"}])
    key = uuid4().hex
    with pytest.raises(requests.ConnectionError):
        post(doomed, key)
    until(lambda: doomed.code is not None, "the API is dead")
    died = time.monotonic()

    up = system.up()
    listed = requests.get(f"{up.url}/generate", timeout=CALL_S).json()["jobs"]
    was_stored = moment != "before the table"
    assert len(listed) == was_stored, "what is stored is kept, what is not is not there"
    again = post(up, key)
    assert again.status_code == 202
    assert ("Idempotent-Replayed" in again.headers) == was_stored
    lab = system.lab(up)
    try:
        ended = finished(lab, again.json()["id"])
    finally:
        lab.close()
    record(f"API killed {moment}", ended - died)


@pytest.mark.verify
def test_the_queue_refuses_the_ring(system: Owned, record: Record) -> None:
    up = system.up(faults=[{"port": "queue", "call": "send", "do": "raise"}])
    accepted = post(up, uuid4().hex)
    refused = time.monotonic()
    assert accepted.status_code == 202, "the transaction is in"
    lab = system.lab(up)
    try:
        ended = finished(lab, accepted.json()["id"])
    finally:
        lab.close()
    record("queue refuses the ring", ended - refused)


@pytest.mark.verify
def test_killed_after_it_has_marked_a_batch_as_canceled(system: Owned, record: Record) -> None:
    doomed = system.up(faults=[{**MARK, "do": "kill"}])
    path, requested = "/generate/batch", {"requests": [BODY] * 3}
    made = requests.post(f"{doomed.url}{path}", json=requested, timeout=CALL_S).json()
    path += f"/{made['batch_id']}"
    with pytest.raises(requests.ConnectionError):
        requests.delete(f"{doomed.url}{path}", timeout=CALL_S)
    until(lambda: doomed.code is not None, "the API is dead")
    died = time.monotonic()

    up = system.up()

    def counts() -> Mapping[str, int]:
        shown = requests.get(f"{up.url}{path}", timeout=CALL_S).json()
        assert shown["canceled"], "whoever looks is told so"
        counts: Mapping[str, int] = shown["counts"]
        return counts

    assert counts()["queued"] == 3
    until(lambda: counts()["canceled"] == 3, "canceled", within_s=90, otherwise=counts)
    record("API killed after it has marked a batch as canceled", time.monotonic() - died)
    lab = system.lab(up)
    try:
        comfy = lab.simulator()
        lab.worker(comfy)
        lab.check(lab.client.submit(seconds=0.1), "completed", ["succeeded"])
        assert [comfy.renders(each["job"]["id"]) for each in made["items"]] == [0, 0, 0]
    finally:
        lab.close()
