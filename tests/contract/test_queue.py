"""What ports/queue.py promises, on every engine."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import moto
import pytest

from comfyq.adapters.memory.clock import ManualClock
from comfyq.adapters.memory.queue import MemoryQueue
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.queue import SqliteQueue
from comfyq.adapters.sqs.queue import SqsQueue
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import QueueUnavailable
from comfyq.domain.job import JobId
from comfyq.ports.queue import MAX_DELAY_S, MAX_HIDE_S, MAX_WAIT_S, Delivery, JobQueue
from tests.fixtures.emulator import Aws

pytestmark = pytest.mark.anyio

VISIBILITY_S = 2
MAX_RECEIVES = 3
ALICE, BOB = TenantId("alice"), TenantId("bob")


@dataclass
class Bench:
    """A queue, and the clock that its visibility follows; None: the real one."""

    queue: JobQueue
    clock: ManualClock | None = None
    raw: tuple[Any, str] | None = None  # SQS's client and the queue's URL
    sent: set[JobId] = field(default_factory=set)

    def pass_time(self, seconds: float) -> None:
        """Let time pass; where it is the real one, the next ``arrival`` waits for it."""
        if self.clock is not None:
            self.clock.advance(seconds)

    async def ring(self, *, tenant: TenantId = ALICE, delay_s: float = 0) -> JobId:
        job_id = JobId(str(uuid4()))
        await self.queue.send(job_id, tenant=tenant, delay_s=delay_s)
        return job_id

    async def arrival(self) -> Delivery:
        delivery = await self.queue.receive(wait_s=10)
        assert delivery is not None
        return delivery

    async def silence(self) -> bool:
        return await self.queue.receive(wait_s=0) is None


def _sqs(aws: Aws, url: str, **attributes: str) -> Bench:
    aws.sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"VisibilityTimeout": str(VISIBILITY_S), **attributes}
    )
    return Bench(SqsQueue(client=lambda: aws.sqs, url=url), raw=(aws.sqs, url))


def _moto() -> Iterator[Bench]:
    with moto.mock_aws():
        aws = Aws(None)
        dead = aws.sqs.create_queue(QueueName="dead")["QueueUrl"]
        arn = aws.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        redrive = {
            "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
            "maxReceiveCount": MAX_RECEIVES,
        }
        url = aws.sqs.create_queue(QueueName="jobs")["QueueUrl"]
        yield _sqs(aws, url, RedrivePolicy=json.dumps(redrive))


def _ministack(request: pytest.FixtureRequest) -> Bench:
    aws: Aws = request.getfixturevalue("aws")
    url = request.getfixturevalue("provisioned").queue_url
    attributes = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
    redrive = json.loads(attributes["Attributes"]["RedrivePolicy"])
    assert redrive["maxReceiveCount"] == 10  # as the template says
    redrive["maxReceiveCount"] = MAX_RECEIVES
    return _sqs(aws, url, RedrivePolicy=json.dumps(redrive))


@pytest.fixture(params=["memory", "sqlite", "ministack", "moto"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    clock = ManualClock()
    match request.param:
        case "memory":
            queue = MemoryQueue(clock=clock, visibility_s=VISIBILITY_S, max_receives=MAX_RECEIVES)
            yield Bench(queue, clock)
        case "sqlite":
            database = Database(path=tmp_path / "comfyq.db")
            yield Bench(
                SqliteQueue(
                    database=database,
                    clock=clock,
                    visibility_s=VISIBILITY_S,
                    max_receives=MAX_RECEIVES,
                ),
                clock,
            )
            database.close()
        case "ministack":
            yield _ministack(request)
        case _:
            yield from _moto()


async def test_a_ring_is_received_and_acknowledged(bench: Bench) -> None:
    job_id = await bench.ring()
    delivery = await bench.arrival()
    assert delivery.job_id == job_id
    assert await bench.silence()
    await delivery.ack()
    bench.pass_time(VISIBILITY_S)
    assert await bench.silence()


async def test_every_ring_arrives_whatever_the_order(bench: Bench) -> None:
    rung = {await bench.ring(tenant=tenant) for tenant in (ALICE, BOB, ALICE)}
    received = {(await bench.arrival()).job_id for _ in rung}
    assert received == rung


async def test_what_is_not_acknowledged_comes_back(bench: Bench) -> None:
    job_id = await bench.ring()
    first = await bench.arrival()
    assert await bench.silence()
    bench.pass_time(VISIBILITY_S)
    second = await bench.arrival()
    assert second.job_id == job_id
    # The first receipt has lapsed. That is no error, and must not hide or delete for the second.
    await first.hide(MAX_HIDE_S)
    await second.hide(0)
    third = await bench.arrival()
    await third.ack()
    await third.ack()
    await second.hide(5)
    assert await bench.silence()


async def test_a_message_is_hidden_for_as_long_as_was_said(bench: Bench) -> None:
    await bench.ring()
    delivery = await bench.arrival()
    await delivery.hide(0)
    delivery = await bench.arrival()
    await delivery.hide(VISIBILITY_S + 1.5)
    began = time.monotonic()
    bench.pass_time(VISIBILITY_S)
    assert await bench.silence()
    bench.pass_time(1.5)
    await bench.arrival()
    if bench.clock is None:
        assert time.monotonic() - began > VISIBILITY_S + 1


async def test_a_delayed_ring_comes_later(bench: Bench) -> None:
    began = time.monotonic()
    job_id = await bench.ring(delay_s=0.7)
    assert await bench.silence()
    bench.pass_time(0.7)
    assert (await bench.arrival()).job_id == job_id
    if bench.clock is None:
        assert time.monotonic() - began > 0.6


async def test_what_is_never_acknowledged_stops_coming(bench: Bench) -> None:
    await bench.ring()
    for _ in range(MAX_RECEIVES):
        await (await bench.arrival()).hide(0)
    other = await bench.ring()
    assert (await bench.arrival()).job_id == other
    assert await bench.silence()


async def test_receive_waits_for_a_ring(bench: Bench) -> None:
    received: list[JobId] = []

    async def receive() -> None:
        received.append((await bench.arrival()).job_id)

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        job_id = await bench.ring()
    assert received == [job_id]


async def test_receive_gives_up_when_its_time_is_over(bench: Bench) -> None:
    began = time.monotonic()
    assert await bench.queue.receive(wait_s=0.3) is None
    assert 0.29 < time.monotonic() - began < 5


async def test_times_that_sqs_does_not_know_are_refused(bench: Bench) -> None:
    await bench.ring()
    delivery = await bench.arrival()
    for refused in (
        bench.ring(delay_s=MAX_DELAY_S + 1),
        bench.ring(delay_s=-1),
        bench.queue.receive(wait_s=MAX_WAIT_S + 1),
        delivery.hide(MAX_HIDE_S + 1),
        delivery.hide(-1),
    ):
        with pytest.raises(ValueError, match="it is 0 to"):
            await refused


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


async def test_many_receivers_get_each_ring_once(bench: Bench) -> None:
    if bench.raw is not None and "127.0.0.1" not in bench.raw[1]:
        pytest.skip("moto is not made for threads")
    rung = {await bench.ring() for _ in range(40)}
    received: list[JobId] = []

    async def work() -> None:
        while (delivery := await bench.queue.receive(wait_s=0)) is not None:
            received.append(delivery.job_id)
            await delivery.ack()

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(work)
    assert sorted(received) == sorted(rung)


async def test_a_ring_for_a_cancelled_receiver_comes_back_at_once(bench: Bench) -> None:
    if bench.raw is not None and "127.0.0.1" not in bench.raw[1]:
        pytest.skip("moto is not made for threads")
    for _ in range(3):
        async with anyio.create_task_group() as group:
            group.start_soon(bench.arrival)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        began = time.monotonic()
        job_id = await bench.ring()
        delivery = await bench.arrival()
        assert delivery.job_id == job_id
        assert time.monotonic() - began < VISIBILITY_S - 0.5
        await delivery.ack()


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    nowhere = SqsQueue(client=lambda: Aws("http://127.0.0.1:9").sqs, url="http://127.0.0.1:9/0/q")
    with pytest.raises(QueueUnavailable, match="SQS"):
        await nowhere.send(JobId("a"), tenant=ALICE)
    with pytest.raises(QueueUnavailable, match="SQS"):
        await nowhere.receive(wait_s=0)


async def test_a_missing_queue_is_unavailable(aws: Aws, emulator: Any) -> None:
    queue = SqsQueue(client=lambda: aws.sqs, url=f"{emulator.url}/000000000000/no-such-queue")
    with pytest.raises(QueueUnavailable, match="SQS"):
        await queue.send(JobId("a"), tenant=ALICE)


async def test_a_fair_queue_groups_by_tenant() -> None:
    with moto.mock_aws():
        aws = Aws(None)
        url = aws.sqs.create_queue(QueueName="fair")["QueueUrl"]
        asked: list[dict[str, Any]] = []
        aws.sqs.meta.events.register(
            "provide-client-params.sqs.SendMessage", lambda params, **_: asked.append(params)
        )
        for fair in (False, True):
            queue = SqsQueue(client=lambda: aws.sqs, url=url, fair=fair)
            await queue.send(JobId("a"), tenant=BOB)
    assert [params.get("MessageGroupId") for params in asked] == [None, "bob"]


async def test_the_memory_queue_loses_and_doubles_on_demand() -> None:
    bench = Bench(queue := MemoryQueue(clock=ManualClock()))
    queue.drop, queue.duplicate = 1, 1
    await bench.ring()
    assert await bench.silence()
    job_id = await bench.ring()
    first = await bench.arrival()
    await first.ack()
    assert (await bench.arrival()).job_id == first.job_id == job_id
    queue.faults.append(QueueUnavailable("down"))
    with pytest.raises(QueueUnavailable):
        await bench.ring()
