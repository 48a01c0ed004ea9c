"""Webhooks of real servers, to a real receiver; ``tests/e2e/faults`` kills the servers."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.facade_lab import told_by
from tests.processes import Process, Processes
from tests.receiver import ALLOWED, Receiver, receiving

WAIT_S = 60.0


def ask(up: Process, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{up.url}{path}", data=data, headers=headers)
    with urllib.request.urlopen(request) as answer:
        content: dict[str, Any] = json.load(answer)
        return content


def submit(up: Process, receiver: Receiver, **more: Any) -> str:
    body = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2, **more}
    job_id: str = ask(up, "/generate", body | {"webhook_url": receiver.url})["id"]
    return job_id


def test_a_job_is_told_as_it_goes_and_the_signature_is_the_tenants(
    processes: Processes, tmp_path: Path
) -> None:
    with receiving() as receiver:
        up = processes.up(env=ALLOWED)
        job_id = submit(up, receiver, webhook_events=["queued", "started", "completed"])
        received = receiver.wait_for(3)
        secret = ask(up, "/webhooks/secret")["secret"]
        told = {Webhook(secret).verify(each.body, each.headers)["type"] for each in received}
        assert told == {"job.queued", "job.started", "job.completed"}
        sent = json.dumps([[each.headers, each.body.decode()] for each in received])
        by_svix = told_by("svix_receiver.py", secret, sent, home=tmp_path)
        assert (set(by_svix["taken"]), len(by_svix["refused"])) == (told, len(received))
        [ended] = [each.event for each in received if each.event["type"] == "job.completed"]
        assert ended["data"]["id"] == job_id
        assert ended["data"]["image_url"].startswith(up.url)
        deadline = time.monotonic() + WAIT_S
        while any(
            each["status"] != "delivered"
            for each in ask(up, f"/generate/{job_id}/deliveries")["deliveries"]
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "hidden" not in up.log


@pytest.mark.verify
def test_a_worker_of_its_own_is_heard_by_the_server(processes: Processes) -> None:
    """It wakes nobody: the server's reaper finds what it has stored."""
    with receiving() as receiver:
        simulator = processes.simulator()
        up = processes.up(workers=0, env=ALLOWED)
        processes.worker(comfyui=[simulator.url], up=up)
        job_id = submit(up, receiver)
        [told] = receiver.wait_for(1)
        assert (told.event["type"], told.event["data"]["id"]) == ("job.completed", job_id)
