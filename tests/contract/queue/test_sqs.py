"""Behaviour of SQS that the other engines do not have."""

import json
from datetime import timedelta
from typing import Any

import moto
import pytest

from comfyq.adapters.sqs.late_frames import SqsLateFrames
from comfyq.adapters.sqs.queue import SqsQueue
from comfyq.adapters.sqs.webhook_doorbell import SqsWebhookDoorbell
from comfyq.domain.errors import QueueUnavailable
from comfyq.domain.job import JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.ports.webhooks import WebhookKey
from comfyq.testing.memory.clock import ManualClock
from tests.contract.queue.bench import ALICE, BOB, Bench
from tests.fixtures.emulator import Aws, new_session

pytestmark = pytest.mark.anyio


async def test_what_is_no_doorbell_is_left_alone(bench: Bench) -> None:
    if bench.raw is None:
        pytest.skip("nobody else can write to this queue")
    client, url = bench.raw
    for body in ("no json", "[]", '{"job_id": 5}', "{}"):
        client.send_message(QueueUrl=url, MessageBody=body)
    job_id = await bench.ring()
    assert (await bench.arrival()).job_id == job_id
    assert await bench.silence()
    counted = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counted["ApproximateNumberOfMessagesNotVisible"] == "5"


async def test_nobody_there_is_unavailable() -> None:
    nowhere = SqsQueue(client=lambda: Aws("http://127.0.0.1:9").sqs, url="http://127.0.0.1:9/0/q")
    with pytest.raises(QueueUnavailable, match="SQS"):
        await nowhere.send(JobId("a"), tenant=ALICE)
    with pytest.raises(QueueUnavailable, match="SQS"):
        await nowhere.receive(wait_s=0)


@pytest.mark.sqs
async def test_a_missing_queue_is_unavailable(aws: Aws) -> None:
    url = f"{aws.endpoint('sqs')}/000000000000/no-such-queue"
    queue = SqsQueue(client=lambda: aws.sqs, url=url)
    with pytest.raises(QueueUnavailable, match="SQS"):
        await queue.send(JobId("a"), tenant=ALICE)


async def test_a_fair_queue_groups_by_tenant() -> None:
    with moto.mock_aws():
        aws = Aws(None, new_session())
        url = aws.sqs.create_queue(QueueName="fair")["QueueUrl"]
        asked: list[dict[str, Any]] = []
        aws.sqs.meta.events.register(
            "provide-client-params.sqs.SendMessage", lambda params, **_: asked.append(params)
        )
        for fair in (False, True):
            queue = SqsQueue(client=lambda: aws.sqs, url=url, fair=fair)
            await queue.send(JobId("a"), tenant=BOB)
    assert [params.get("MessageGroupId") for params in asked] == [None, "bob"]


async def test_rings_for_webhooks_are_grouped_and_frames_that_are_put_off_come_later() -> None:
    clock, asked = ManualClock(), list[dict[str, Any]]()
    with moto.mock_aws():
        aws = Aws(None, new_session())
        url = aws.sqs.create_queue(QueueName="webhooks")["QueueUrl"]
        aws.sqs.meta.events.register(
            "provide-client-params.sqs.*", lambda params, **_: asked.append(params)
        )
        for fair in (False, True):
            doorbell = SqsWebhookDoorbell(client=lambda: aws.sqs, url=url, clock=clock, fair=fair)
            for tenant in (BOB, None):
                at = clock.now() + timedelta(seconds=1.5)
                key = WebhookKey(JobId("a"), "1")
                await doorbell.ring([key], at=at, tenant=tenant)
        frames = SqsLateFrames(client=lambda: aws.sqs, url=url)
        await frames.ask(BatchId("b"), JobId("a"), delay_s=1.2)
    *rings, frame = asked
    sent = [entry for ring in rings for entry in ring["Entries"]]
    assert {(each["MessageBody"], each["DelaySeconds"]) for each in sent} == {
        ('{"job_id": "a", "place": "1"}', 2)
    }
    assert [each.get("MessageGroupId") for each in sent] == [None, None, "bob", None]
    assert (frame["DelaySeconds"], json.loads(frame["MessageBody"])) == (
        2,
        {"batch_id": "b", "job_id": "a"},
    )
