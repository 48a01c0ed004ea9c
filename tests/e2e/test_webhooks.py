"""Webhooks of real servers, to a real receiver; ``tests/e2e/faults`` kills the servers."""

import json
import re
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
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


@pytest.mark.verify
def test_receivers_that_fail_hang_redirect_are_slow_or_want_no_more(processes: Processes) -> None:
    """What becomes of a webhook of each, and what its log says."""
    with ExitStack() as stack:
        fails, hangs, redirects, slow, gone, led_to = (
            stack.enter_context(receiving()) for _ in range(6)
        )
        fails.codes, redirects.codes, gone.codes = [500], [307] * 9, [410]
        hangs.answers.clear()
        redirects.location = led_to.url  # which is not public, though it is allowed here
        slow.takes_s = 1.5
        up = processes.up(env=ALLOWED)
        job_ids = {
            each: submit(up, each, webhook_events=["queued"])
            for each in (hangs, fails, redirects, slow, gone)
        }

        def shown(receiver: Receiver, condition: Callable[[dict[str, Any]], object]) -> str:
            """Return what the log says of a receiver's webhook, once the condition holds."""
            deadline, delivery = time.monotonic() + WAIT_S, dict[str, Any]()
            while not (delivery and condition(delivery)):
                assert time.monotonic() < deadline, delivery
                [delivery] = ask(up, f"/generate/{job_ids[receiver]}/deliveries")["deliveries"]
                time.sleep(0.01)
            return (
                f"{delivery['status']} {delivery['attempts']} {delivery['response_code']} "
                f"{delivery['error']}"
            )

        assert shown(slow, lambda told: told["status"] == "delivered") == "delivered 1 204 None"
        failed = shown(gone, lambda told: told["status"] == "failed")
        assert failed == "failed 1 410 the receiver answered 410: it wants no more of them"
        led = shown(redirects, lambda told: told["error"])
        assert re.match("pending [0-9]+ 307 the receiver answered 307, and redirects are not", led)
        hung = shown(hangs, lambda told: told["error"])
        assert re.match("pending [0-9]+ None no answer came within 5 s", hung)
        assert shown(fails, lambda told: told["status"] == "delivered") == "delivered 2 204 None"
        assert len({each.id for each in fails.received}) == 1
        assert (len(fails.received), len(gone.received)) == (2, 1)
        assert led_to.received == []
