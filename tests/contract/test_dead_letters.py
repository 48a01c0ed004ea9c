"""A doorbell that was received too often lies in its engine's inbox of dead letters."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import anyio
import pytest

from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.inbox import SqliteInbox
from comfyq.adapters.sqlite.queue import DEAD_BOX, SqliteQueue
from comfyq.adapters.sqs.inbox import SqsInbox
from comfyq.adapters.sqs.queue import SqsQueue
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobId
from comfyq.ports.inbox import Inbox, MessageDelivery
from comfyq.ports.queue import JobQueue
from comfyq.services.operations.dead_letters import rung_job
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.queue import MemoryQueue
from tests.fixtures.emulator import Aws

pytestmark = pytest.mark.anyio

MAX_RECEIVES = 2


@dataclass
class Belfry:
    queue: JobQueue
    dead: Inbox


def _sqs(aws: Aws, made: Provisioned) -> Belfry:
    policy = aws.sqs.get_queue_attributes(QueueUrl=made.queue_url, AttributeNames=["RedrivePolicy"])
    redrive = json.loads(policy["Attributes"]["RedrivePolicy"]) | {"maxReceiveCount": MAX_RECEIVES}
    aws.sqs.set_queue_attributes(
        QueueUrl=made.queue_url, Attributes={"RedrivePolicy": json.dumps(redrive)}
    )
    return Belfry(
        SqsQueue(client=lambda: aws.sqs, url=made.queue_url),
        SqsInbox(client=lambda: aws.sqs, url=made.dead_queue_url),
    )


@pytest.fixture(params=["memory", "sqlite", pytest.param("sqs", marks=pytest.mark.sqs)])
def belfry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Belfry]:
    clock = ManualClock()
    match request.param:
        case "memory":
            memory = MemoryQueue(clock=clock, max_receives=MAX_RECEIVES)
            yield Belfry(memory, memory.dead)
        case "sqlite":
            database = Database(path=tmp_path / "comfyq.db")
            yield Belfry(
                SqliteQueue(database=database, clock=clock, max_receives=MAX_RECEIVES),
                SqliteInbox(database=database, clock=clock, box=DEAD_BOX),
            )
            database.close()
        case _:
            made = request.getfixturevalue("provisioned")
            yield _sqs(request.getfixturevalue("aws"), made)


async def test_dead_doorbells_tell_which_jobs_they_rang_for(belfry: Belfry) -> None:
    rung = [JobId(str(uuid4())) for _ in range(2)]
    for job_id in rung:
        await belfry.queue.send(job_id, tenant=DEFAULT_TENANT)
    for _ in range(MAX_RECEIVES * len(rung)):
        delivery = await belfry.queue.receive(wait_s=5)
        assert delivery is not None
        await delivery.hide(0)
    received: list[MessageDelivery] = []
    with anyio.fail_after(20):
        while len(received) < len(rung):
            assert await belfry.queue.receive(wait_s=0) is None
            received += await belfry.dead.receive(wait_s=0)
    assert {rung_job(delivery.message.body) for delivery in received} == set(rung)
    assert len({delivery.message.id for delivery in received}) == len(rung)
    for letter in received:
        await letter.ack()
    assert await belfry.dead.receive(wait_s=0) == []


@pytest.mark.parametrize("body", ["", "no json", "[]", "{}", '{"job_id": 5}', "[" * 100_000])
def test_what_is_no_doorbell_names_no_job(body: str) -> None:
    assert rung_job(body) is None
