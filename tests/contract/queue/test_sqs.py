"""Behaviour of SQS that the other engines do not have."""

from typing import Any

import moto
import pytest

from comfyq.adapters.sqs.queue import SqsQueue
from comfyq.domain.errors import QueueUnavailable
from comfyq.domain.job import JobId
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
