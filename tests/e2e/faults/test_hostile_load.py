"""One client's load: what it sends must not make the jobs of others wait."""

import time

import requests

from tests.e2e.faults.client import CALL_S
from tests.e2e.faults.comfy import Comfy
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab
from tests.e2e.faults.marks import also_real

UNSUITED = 600
BATCH = 100
NOBODYS = {"1": {"class_type": "NodeOfNobody", "inputs": {}}}


def submit_unsuited(lab: Lab) -> list[str]:
    """Send jobs that wait for a worker with a node that none has; return the batches' ids."""
    batches = []
    for _ in range(UNSUITED // BATCH):
        answer = requests.post(
            f"{lab.client.url}/generate/batch",
            json={"requests": [{"graph": NOBODYS, "wait": True}] * BATCH},
            timeout=CALL_S,
        )
        assert answer.status_code == 202, answer.text
        batches.append(answer.json()["batch_id"])
    return batches


def cancel(lab: Lab, batches: list[str]) -> None:
    for batch in batches:
        requests.delete(f"{lab.client.url}/generate/batch/{batch}", timeout=CALL_S)


@also_real
def test_a_job_among_many_that_nobody_can_run(lab: Lab, comfy: Comfy, record: Record) -> None:
    lab.worker(comfy)
    nap(lab)
    alone = min(nap(lab) for _ in range(3))
    batches = submit_unsuited(lab)
    try:
        among = min(nap(lab) for _ in range(3))
        record(f"{UNSUITED} jobs that nobody can run", among)
        assert among < 4 * alone, "each of them costs a worker milliseconds"
    finally:
        cancel(lab, batches)


def nap(lab: Lab) -> float:
    """Run a short job; return the seconds from its submission to its end."""
    submitted = time.monotonic()
    job = lab.client.submit("nap", seconds=0.1)
    ended = lab.client.follower(job).wait_end()
    lab.check(job, "completed", ["succeeded"])
    return ended - submitted
