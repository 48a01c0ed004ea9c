"""The contract of ports/inbox.py, on every engine."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest

from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.inbox import SqliteInbox
from comfyq.adapters.sqs.inbox import SqsInbox
from comfyq.domain.errors import QueueUnavailable
from comfyq.ports.inbox import MAX_MESSAGES, Inbox, Message, MessageDelivery
from comfyq.ports.queue import MAX_WAIT_S
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.inbox import MemoryInbox
from tests.fixtures.emulator import Aws

pytestmark = pytest.mark.anyio

VISIBILITY_S = 2
MAX_RECEIVES = 2


@dataclass
class Office:
    """An inbox, where its dead letters go, and a sender."""

    inbox: Inbox
    dead: Inbox
    clock: ManualClock | None = None  # None: time passes by itself
    sqs: tuple[Any, str] | None = None  # SQS's client and the queue's URL

    async def send(self, body: str, **attributes: str) -> str:
        """The message's id."""
        if self.sqs is not None:
            client, url = self.sqs
            texts = {
                name: {"DataType": "String", "StringValue": text}
                for name, text in attributes.items()
            }
            answer = client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=texts)
            return str(answer["MessageId"])
        message = Message(str(uuid4()), body, attributes)
        if isinstance(self.inbox, MemoryInbox):
            self.inbox.put(message)
        elif isinstance(self.inbox, SqliteInbox):
            await self.inbox.put(message)
        return message.id

    async def arrivals(self, count: int, inbox: Inbox | None = None) -> list[MessageDelivery]:
        received: list[MessageDelivery] = []
        with anyio.fail_after(20):
            while len(received) < count:
                received += await (inbox or self.inbox).receive(wait_s=5)
        return received

    def pass_time(self) -> None:
        if self.clock is not None:
            self.clock.advance(VISIBILITY_S)


def _sqs(aws: Aws, made: Provisioned) -> Office:
    url = made.submissions_queue_url
    policy = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    redrive = json.loads(policy["Attributes"]["RedrivePolicy"]) | {"maxReceiveCount": MAX_RECEIVES}
    aws.sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={"VisibilityTimeout": str(VISIBILITY_S), "RedrivePolicy": json.dumps(redrive)},
    )
    return Office(
        inbox=SqsInbox(client=lambda: aws.sqs, url=url),
        dead=SqsInbox(client=lambda: aws.sqs, url=made.submissions_dead_queue_url),
        sqs=(aws.sqs, url),
    )


@pytest.fixture(params=["memory", "sqlite", pytest.param("sqs", marks=pytest.mark.sqs)])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    clock = ManualClock()
    match request.param:
        case "memory":
            dead = MemoryInbox(clock=clock, name="dead")
            inbox = MemoryInbox(
                clock=clock, visibility_s=VISIBILITY_S, max_receives=MAX_RECEIVES, dead=dead
            )
            yield Office(inbox, dead, clock)
        case "sqlite":
            database = Database(path=tmp_path / "comfyq.db")
            yield Office(
                SqliteInbox(
                    database=database,
                    clock=clock,
                    box="in",
                    dead="dead",
                    visibility_s=VISIBILITY_S,
                    max_receives=MAX_RECEIVES,
                ),
                SqliteInbox(database=database, clock=clock, box="dead"),
                clock,
            )
            database.close()
        case _:
            made = request.getfixturevalue("provisioned")
            yield _sqs(request.getfixturevalue("aws"), made)


async def test_a_message_arrives_as_it_was_sent_and_is_acknowledged(office: Office) -> None:
    message_id = await office.send('{"prompt": "un café"}', idempotency_key="k1")
    (delivery,) = await office.arrivals(1)
    assert delivery.message == Message(
        message_id, '{"prompt": "un café"}', {"idempotency_key": "k1"}
    )
    assert await office.inbox.receive(wait_s=0) == []
    await delivery.ack()
    await delivery.ack()
    office.pass_time()
    assert await office.inbox.receive(wait_s=1 if office.clock else 3) == []


async def test_its_name_is_its_queues(office: Office) -> None:
    assert office.inbox.name
    assert office.inbox.name != office.dead.name
    if office.sqs is not None:
        client, url = office.sqs
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        assert answer["Attributes"]["QueueArn"].rpartition(":")[2] == office.inbox.name


async def test_many_messages_come_a_few_at_a_time(office: Office) -> None:
    sent = {await office.send(f"message {n}") for n in range(MAX_MESSAGES + 3)}
    first = await office.inbox.receive(wait_s=5)
    assert 1 <= len(first) <= MAX_MESSAGES
    rest = await office.arrivals(len(sent) - len(first))
    assert {delivery.message.id for delivery in (*first, *rest)} == sent


async def test_what_is_not_acknowledged_comes_back_and_dies_in_the_end(office: Office) -> None:
    message_id = await office.send("poison", idempotency_key="k2")
    for _ in range(MAX_RECEIVES):
        (delivery,) = await office.arrivals(1)
        assert delivery.message.id == message_id
        office.pass_time()
    with anyio.fail_after(20):  # it is moved when its turn would come again
        while not (dead := await office.dead.receive(wait_s=0)):
            assert await office.inbox.receive(wait_s=1) == []
    sent = Message(message_id, "poison", {"idempotency_key": "k2"})
    assert [delivery.message for delivery in dead] == [sent]
    await dead[0].ack()
    assert await office.dead.receive(wait_s=0) == []


async def test_a_receipt_that_has_lapsed_deletes_nothing(office: Office) -> None:
    await office.send("a")
    (first,) = await office.arrivals(1)
    office.pass_time()
    (second,) = await office.arrivals(1)
    if office.sqs is None:  # SQS deletes with an old receipt, too; it only promises at least once
        await first.ack()
        office.pass_time()
        with anyio.fail_after(5):
            while not await office.dead.receive(wait_s=0):
                assert await office.inbox.receive(wait_s=0) == []
    await second.ack()


async def test_a_message_may_be_hidden_for_longer_and_for_less(office: Office) -> None:
    message_id = await office.send("a")
    (delivery,) = await office.arrivals(1)
    await delivery.hide(60)
    office.pass_time()
    assert await office.inbox.receive(wait_s=0 if office.clock else VISIBILITY_S + 1) == []
    await delivery.hide(0)
    (again,) = await office.arrivals(1)
    assert again.message.id == message_id
    await again.ack()


async def test_a_message_for_a_canceled_receiver_comes_back_at_once(office: Office) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(office.arrivals, 1)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    message_id = await office.send("a")
    with anyio.fail_after(VISIBILITY_S - 0.5):
        (delivery,) = await office.arrivals(1)
    assert delivery.message.id == message_id


async def test_a_wait_that_sqs_does_not_know_is_refused(office: Office) -> None:
    with pytest.raises(ValueError, match="it is 0 to"):
        await office.inbox.receive(wait_s=MAX_WAIT_S + 1)


async def test_nobody_there_is_unavailable() -> None:
    nowhere = SqsInbox(client=lambda: Aws("http://127.0.0.1:9").sqs, url="http://127.0.0.1:9/0/q")
    with pytest.raises(QueueUnavailable, match="SQS"):
        await nowhere.receive(wait_s=0)
