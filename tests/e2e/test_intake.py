"""Requests sent straight to the queue of a running ``comfyq up``, with a simulated ComfyUI."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest
import urllib3

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.inbox import SqliteInbox
from comfyq.adapters.sqlite.queue import DEAD_BOX
from comfyq.adapters.system.clock import SystemClock
from comfyq.bootstrap.backends.embedded import SUBMISSIONS_BOX
from comfyq.ports.inbox import Message
from tests.fixtures.emulator import Aws
from tests.processes import Process, Processes

pytestmark = pytest.mark.anyio

DEADLINE_S = 60
SMALL = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2}

Json = dict[str, Any]


class Sender(Protocol):
    async def send(self, body: str, key: str | None = None) -> str:
        """The letter's id."""
        ...

    async def send_dead_doorbell(self, job_id: str) -> str:
        """The letter's id."""
        ...


class SqsSender:
    def __init__(self, up: Process) -> None:
        self._sqs = Aws(up.exports["AWS_ENDPOINT_URL"]).sqs
        self._url = up.exports["COMFYQ_SUBMISSIONS_QUEUE_URL"]
        self._dead_url = up.exports["COMFYQ_DEAD_QUEUE_URL"]

    async def send(self, body: str, key: str | None = None) -> str:
        entry: Any = {"Id": "0", "MessageBody": body}
        if key is not None:
            attribute = {"DataType": "String", "StringValue": key}
            entry["MessageAttributes"] = {"idempotency_key": attribute}
        answer = self._sqs.send_message_batch(QueueUrl=self._url, Entries=[entry])
        return answer["Successful"][0]["MessageId"]

    async def send_dead_doorbell(self, job_id: str) -> str:
        body = json.dumps({"job_id": job_id})
        return self._sqs.send_message(QueueUrl=self._dead_url, MessageBody=body)["MessageId"]


class FileSender:
    """Another process that has the embedded backend's file."""

    def __init__(self, database: Database) -> None:
        clock = SystemClock()
        self._inbox = SqliteInbox(database=database, clock=clock, box=SUBMISSIONS_BOX)
        self._dead = SqliteInbox(database=database, clock=clock, box=DEAD_BOX)

    async def send(self, body: str, key: str | None = None) -> str:
        letter_id = str(uuid4())
        attributes = {} if key is None else {"idempotency_key": key}
        await self._inbox.put(Message(letter_id, body, attributes))
        return letter_id

    async def send_dead_doorbell(self, job_id: str) -> str:
        letter_id = str(uuid4())
        await self._dead.put(Message(letter_id, json.dumps({"job_id": job_id})))
        return letter_id


@contextmanager
def sender_to(up: Process) -> Iterator[Sender]:
    if "AWS_ENDPOINT_URL" in up.exports:
        yield SqsSender(up)
        return
    database = Database(path=up.data_dir / "comfyq.db")
    try:
        yield FileSender(database)
    finally:
        database.close()


def ask(up: Process, path: str, method: str = "GET") -> tuple[int, Json]:
    answer = urllib3.request(method, up.url + path, timeout=30)
    return answer.status, answer.json()


def eventually(up: Process, path: str, condition: Callable[[Json], bool]) -> Json:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        status, body = ask(up, path)
        if status == 200 and condition(body):
            return body
        assert time.monotonic() < deadline, f"{path}: {status} {body}\n{up.log[-3000:]}"
        time.sleep(0.05)


def ended(job: Json) -> bool:
    return job["status"] in ("completed", "failed", "canceled")


@pytest.mark.parametrize("backend", ["embedded", "emulator"])
async def test_what_is_sent_to_the_queue_runs_once_or_says_why_not(
    processes: Processes, tmp_path: Path, backend: str
) -> None:
    up = processes.up(workers=1, backend=backend)
    with sender_to(up) as sender:
        plain = await sender.send(json.dumps(SMALL))
        first, again = [await sender.send(json.dumps(SMALL), key="order-1") for _ in range(2)]
        bad = await sender.send(json.dumps(SMALL | {"steps": 0}))
        for sent in (plain, first, again):
            job = eventually(up, f"/generate/{sent}", ended)
            assert job["status"] == "completed", job
        keyed = {ask(up, f"/generate/{sent}")[1]["id"] for sent in (first, again)}
        assert len(keyed) == 1
        assert keyed < {first, again}
        refused = eventually(up, f"/generate/{bad}", ended)
        assert (refused["status"], refused["error_code"]) == ("failed", "invalid-parameters")
        listed = ask(up, "/generate")[1]["jobs"]
        assert {job["id"] for job in listed} == {plain, bad} | keyed
        letter = eventually(up, f"/dead/{bad}", bool)
        assert json.loads(letter["body"])["steps"] == 0
        status, body = ask(up, f"/dead/{bad}/redrive", "POST")
        assert (status, body["outcome"]) == (200, "refused")
        dead = await sender.send_dead_doorbell(plain)
        assert eventually(up, f"/dead/{dead}", bool)["origin"] == "jobs"
    assert up.stop() == 0


async def test_a_redriven_message_completes_under_its_first_id(
    processes: Processes, tmp_path: Path
) -> None:
    workflows = tmp_path / "workflows"
    workflows.mkdir()
    source = Path(__file__).parents[2] / "workflows" / "flux-dev"
    (workflows / "flux-dev").symlink_to(source)
    env = {"COMFYQ_WORKFLOWS_DIR": str(workflows)}
    up = processes.up(workers=1, env=env)
    with sender_to(up) as sender:
        sent = await sender.send(json.dumps(SMALL | {"workflow": "mine"}))
        assert eventually(up, f"/generate/{sent}", ended)["error_code"] == "workflow-not-found"
    up.stop()
    (workflows / "mine").symlink_to(source)
    up = processes.up(workers=1, env=env)
    assert ask(up, f"/dead/{sent}/redrive", "POST")[1]["outcome"] == "accepted"
    job = eventually(up, f"/generate/{sent}", lambda job: job["status"] == "completed")
    assert job["image_url"]
