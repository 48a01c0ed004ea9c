"""A picture's whole way on LocalStack: `make localstack`, or COMFYQ_TEST_LOCALSTACK=host:port.

DynamoDB, SQS and S3 are LocalStack's; API and sockets are ours, as its free edition has neither
WebSocket APIs nor functions from images.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
import urllib3
import websocket

from tests.fixtures.emulator import ROOT, Aws
from tests.processes import Process, Processes, clean_env

HOST = os.getenv("COMFYQ_TEST_LOCALSTACK", "")
DEADLINE_S = 90
SMALL = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2}
LONG = SMALL | {"steps": 150}
STEP_S = 0.05  # of the simulated ComfyUI
PNG = b"\x89PNG\r\n\x1a\n"

pytestmark = [
    pytest.mark.skipif(not HOST, reason="no LocalStack: make localstack starts one"),
    pytest.mark.timeout(300),
]

Json = dict[str, Any]


def comfyq(*arguments: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "comfyq.cli", *arguments],
        capture_output=True,
        text=True,
        env=clean_env(ROOT, env),
        check=False,
    )


@pytest.fixture(scope="module")
def exports() -> Mapping[str, str]:
    """The settings of what ``comfyq infra up`` has made, and finds again."""
    place = {"LOCALSTACK_HOST": HOST}
    made, again = (comfyq("infra", "up", "--json", env=place) for _ in range(2))
    assert made.returncode == again.returncode == 0, made.stderr + again.stderr
    reply: Mapping[str, str] = json.loads(made.stdout)["exports"]
    assert json.loads(again.stdout)["exports"] == reply
    return reply


@pytest.fixture(scope="module")
def up(exports: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """localstack-client finds the services: no endpoint is named."""
    assert "AWS_ENDPOINT_URL" not in exports
    processes = Processes(tmp_path_factory.mktemp("up"))
    try:
        simulator = processes.simulator(options=["--step-s", STEP_S])
        yield processes.up(backend="emulator", comfyui=[simulator.url], env=exports)
    finally:
        processes.close()


def ask(up: Process, path: str, method: str = "GET", body: Json | None = None) -> Json:
    answer = urllib3.request(method, up.url + path, json=body, timeout=30)
    assert answer.status in (200, 202), answer.data
    reply: Json = answer.json()
    return reply


def eventually(up: Process, path: str, condition: Callable[[Json], bool]) -> Json:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        answer = urllib3.request("GET", up.url + path, timeout=30)
        reply: Json = answer.json()
        if answer.status == 200 and condition(reply):
            return reply
        assert time.monotonic() < deadline, f"{path}: {reply}\n{up.log[-3000:]}"
        time.sleep(0.05)


def ended(job: Json) -> bool:
    return job["status"] in ("completed", "failed", "canceled")


def test_a_picture_is_made_and_followed_to_its_end(up: Process) -> None:
    job = ask(up, "/generate", "POST", SMALL)
    frames = followed(job["urls"]["ws"])
    assert [frame["status"] for frame in frames][-1] == "completed"
    done = eventually(up, f"/generate/{job['id']}", ended)
    assert done["status"] == "completed", done
    picture = urllib3.request("GET", done["image_url"], redirect=True)
    assert (picture.status, picture.data[:8]) == (200, PNG)
    stored = urllib3.request("GET", done["image_url"], redirect=False)
    assert HOST.rpartition(":")[2] in stored.headers["location"]  # the object is LocalStack's


def followed(url: str) -> list[Json]:
    """Every frame until the server closes the socket."""
    socket = websocket.create_connection(url, timeout=DEADLINE_S)
    frames = []
    try:
        while text := socket.recv():
            frames.append(json.loads(text))
    except websocket.WebSocketConnectionClosedException:
        pass
    finally:
        socket.close()
        socket.shutdown()  # type: ignore[no-untyped-call]
    return frames


def test_a_running_job_is_canceled(up: Process) -> None:
    path = f"/generate/{ask(up, '/generate', 'POST', LONG)['id']}"
    eventually(up, path, lambda job: job["status"] == "running")
    ask(up, path, "DELETE")
    assert eventually(up, path, ended)["status"] == "canceled"


def test_the_same_key_is_the_same_job(up: Process) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    answers = [
        urllib3.request("POST", f"{up.url}/generate", json=SMALL, headers=key) for _ in range(2)
    ]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_what_is_sent_to_the_queue_runs_or_can_be_read_among_the_dead(
    up: Process, exports: Mapping[str, str]
) -> None:
    sqs, url = Aws(f"http://{HOST}").sqs, exports["COMFYQ_SUBMISSIONS_QUEUE_URL"]
    good, bad = (
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))["MessageId"]
        for body in (SMALL, SMALL | {"steps": 0})
    )
    assert eventually(up, f"/generate/{good}", ended)["status"] == "completed"
    assert eventually(up, f"/generate/{bad}", ended)["error_code"] == "invalid-parameters"
    letter = eventually(up, f"/dead/{bad}", bool)
    assert json.loads(letter["body"])["steps"] == 0


def test_nothing_is_wrong_with_the_deployment(up: Process, exports: Mapping[str, str]) -> None:
    reply = comfyq("--url", up.url, "infra", "check", "--json", env=exports)
    states = {each["subject"]: each["state"] for each in json.loads(reply.stdout)}
    assert reply.returncode == 0, reply.stdout
    assert {name for name, state in states.items() if state == "warning"} <= {
        "ComfyUI", "dead letters"
    }  # fmt: skip
