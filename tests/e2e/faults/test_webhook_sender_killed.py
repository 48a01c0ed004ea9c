"""A sender of webhooks gets SIGKILL at each point of a delivery: none is lost, and whatever is sent
once more has the id that it had."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.e2e.faults.client import CALL_S, Json, until
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.ownership import Owned, owned
from tests.processes import Process
from tests.receiver import ALLOWED, Received, Receiver, receiving

WITHIN_S = 60.0  # the lease of a try is 15 s, and the reaper rings for what is 20 s late
SECRETS = '"sk":"SECRETS"'  # of a tenant, made at its first webhook
CLAIM, CLAIM_ANEW = '"attempts":1,"due":', '"attempts":2,"code":500,'
FAILURE = '"attempts":1,"code":500,'
SUCCESS = '"state":"delivered"'

Rule = Mapping[str, Any]


def write(about: str, when: str) -> Rule:
    return {"port": "table", "call": "write", "about": about, "when": when, "do": "kill"}


# The rule that kills, the receiver's first answer, and how often it was told before and in all:
POINTS: Mapping[str, tuple[Rule, int, int, int]] = {
    "after the change that it tells of": (write('"attempts":0', "after"), 204, 0, 1),
    "before the claim": (write(CLAIM, "before"), 204, 0, 1),
    "after the claim": (write(CLAIM, "after"), 204, 0, 1),
    "before the post": (write(SECRETS, "after"), 204, 0, 1),
    "after the post, before its result is stored": (write(SUCCESS, "before"), 204, 1, 2),
    "after the result is stored": (write(SUCCESS, "after"), 204, 1, 1),
    "before a failure is stored": (write(FAILURE, "before"), 500, 1, 2),
    "after a failure is stored": (write(FAILURE, "after"), 500, 1, 2),
    "before the claim of the second try": (write(CLAIM_ANEW, "before"), 500, 1, 2),
    "after the second try": (write(SUCCESS, "before"), 500, 2, 3),
}
IN_CI = {"before the claim", "after the result is stored"}  # the others wait for a lease or pause


@pytest.fixture
def system(backend: str, workflows: Path, tmp_path: Path) -> Iterator[Owned]:
    with owned(tmp_path, backend=backend, workflows=workflows) as system:
        yield system


def submit(up: Process, receiver: Receiver, key: str) -> str:
    told = {"webhook_url": receiver.url, "webhook_events": ["queued"]}
    asked = {"workflow": "nap", "seconds": 0.1, **told}
    headers = {"Idempotency-Key": key}
    answer = requests.post(f"{up.url}/generate", json=asked, headers=headers, timeout=CALL_S)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def delivery(up: Process, job_id: str) -> Json:
    answer = requests.get(f"{up.url}/generate/{job_id}/deliveries", timeout=CALL_S)
    [only] = answer.json()["deliveries"]
    return dict(only)


def delivered(up: Process, job_id: str) -> Json:
    until(
        lambda: delivery(up, job_id)["status"] == "delivered",
        "it is delivered",
        within_s=WITHIN_S,
        otherwise=lambda: (delivery(up, job_id), up.log[-2_000:]),
    )
    return delivery(up, job_id)


def check(received: list[Received], shown: Json, job_id: str) -> None:
    """All posts were one webhook, which tells of that job."""
    assert {each.id for each in received} == {shown["id"]}
    assert {each.event["type"] for each in received} == {"job.queued"}
    assert {each.event["data"]["id"] for each in received} == {job_id}


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(
            name, id=name.replace(" ", "-"), marks=[] if name in IN_CI else [pytest.mark.verify]
        )
        for name in POINTS
    ],
)
def test_a_sender_killed_at_a_point_of_a_delivery(
    point: str, system: Owned, record: Record
) -> None:
    rule, answer, told_before, told_in_all = POINTS[point]
    key = uuid4().hex
    with receiving() as receiver:
        receiver.codes = [answer]
        doomed = system.up(faults=[rule], env=ALLOWED)
        with suppress(requests.ConnectionError):  # it may die before it has answered
            submit(doomed, receiver, key)
        until(lambda: doomed.code is not None, "the sender is dead", within_s=WITHIN_S)
        died = time.monotonic()
        assert len(receiver.received) == told_before
        up = system.up(env=ALLOWED)
        job_id = submit(up, receiver, key)  # which makes no other job, and tells nothing
        shown = delivered(up, job_id)
        recovered = time.monotonic()
        check(receiver.received, shown, job_id)
        assert len(receiver.received) == told_in_all
    record(f"sender of webhooks SIGKILLed {point}", recovered - died)


@pytest.mark.verify
def test_a_sender_killed_while_its_receiver_thinks(system: Owned, record: Record) -> None:
    """Another server of the same jobs goes on beside it, once the lease of the try has ended."""
    with receiving() as receiver:
        receiver.answers.clear()
        doomed = system.up(env=ALLOWED)
        job_id = submit(doomed, receiver, uuid4().hex)
        receiver.wait_for(1)
        doomed.kill()
        died = time.monotonic()
        receiver.answers.set()
        up = system.up(env=ALLOWED)
        shown = delivered(up, job_id)
        record("sender of webhooks SIGKILLed in mid-post", time.monotonic() - died)
        check(receiver.received, shown, job_id)
        assert (len(receiver.received), shown["attempts"]) == (2, 2)
