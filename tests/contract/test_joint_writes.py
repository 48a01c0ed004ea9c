"""Table and queue in one transaction, on every backend that has one engine for both."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.joint import SqliteJointWrites
from comfyq.adapters.sqlite.queue import SqliteQueue
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain import job as jobs
from comfyq.domain.caller import TenantId
from comfyq.domain.job import Change, Job, JobId
from comfyq.domain.submission.spec import Spec
from comfyq.ports.joint import Doorbell, Instead
from comfyq.ports.notifier import Connection
from comfyq.ports.queue import Delivery
from comfyq.ports.table import ConditionFailed, Put
from comfyq.records.jobs import JobRecords
from comfyq.records.subscriptions import Subscription, SubscriptionRecords
from comfyq.testing.memory.queue import MemoryQueue
from tests.farm import Farm

pytestmark = pytest.mark.anyio

ALICE = TenantId("alice")
KEY = ("A", "1")
ITEM = {"pk": "A", "sk": "1", "version": 1}


class One:
    """A table and a queue in one file."""

    def __init__(self, path: Path) -> None:
        clock = SystemClock()
        self.database = Database(path=path)
        self.table = SqliteTable(database=self.database, clock=clock)
        self.queue = SqliteQueue(database=self.database, clock=clock)
        self.joint = SqliteJointWrites(database=self.database, table=self.table, queue=self.queue)
        self.records = JobRecords(
            self.table, clock=clock, new_write_id=lambda: uuid4().hex, joint=self.joint
        )
        self.clock = clock

    async def received(self) -> Delivery | None:
        return await self.queue.receive(wait_s=0)

    async def sent(self) -> Delivery:
        await self.queue.send(JobId("a"), tenant=ALICE)
        delivery = await self.received()
        assert delivery is not None
        return delivery

    def job(self) -> Job:
        return jobs.submitted(
            id=JobId(str(uuid4())), tenant=ALICE, workflow="any", created_at=self.clock.now()
        )


@pytest.fixture
def one(tmp_path: Path) -> Iterator[One]:
    engine = One(tmp_path / "comfyq.db")
    yield engine
    engine.database.close()


async def test_what_is_written_is_rung_for(one: One) -> None:
    await one.joint.write(Put(ITEM), ring=Doorbell(JobId("a"), ALICE))
    delivery = await one.received()
    assert delivery is not None
    assert delivery.job_id == "a"
    assert await one.table.get(KEY) == ITEM


async def test_what_is_refused_rings_for_nobody_and_acknowledges_nothing(one: One) -> None:
    delivery = await one.sent()
    await one.table.write(Put(ITEM))
    with pytest.raises(ConditionFailed):
        await one.joint.write(Put(ITEM, absent=True), ring=Doorbell(JobId("b"), ALICE))
    with pytest.raises(ConditionFailed):
        await one.joint.write(Put(ITEM, absent=True), ack=delivery)
    assert await one.received() is None
    await delivery.hide(0)
    again = await one.received()
    assert again is not None
    assert again.job_id == "a"


async def test_what_is_acknowledged_comes_no_more(one: One) -> None:
    delivery = await one.sent()
    await one.joint.write(Put(ITEM), ack=delivery)
    await delivery.hide(0)
    assert await one.received() is None
    await delivery.ack()  # a second time is no error


async def test_a_lapsed_receipt_deletes_nothing(one: One) -> None:
    lapsed = await one.sent()
    await lapsed.hide(0)
    delivery = await one.received()
    assert delivery is not None
    await one.joint.write(Put(ITEM), ack=lapsed)
    await delivery.hide(0)
    assert await one.received() is not None


async def test_the_delivery_of_another_queue_is_refused(one: One) -> None:
    other = MemoryQueue(clock=one.clock)
    await other.send(JobId("a"), tenant=ALICE)
    with pytest.raises(ValueError, match="not received"):
        await one.joint.write(Put(ITEM), ack=await other.receive(wait_s=0))
    assert await one.table.get(KEY) is None


async def test_a_new_job_has_been_rung_for(one: One) -> None:
    created = await one.records.create(one.job(), Spec(graph={}, parameters={}))
    stored = await one.records.get(created.id)
    assert created.rung_at is not None
    assert stored.rung_at is not None
    assert stored.version == created.version
    delivery = await one.received()
    assert delivery is not None
    assert delivery.job_id == created.id


async def test_only_the_end_of_a_job_acknowledges_its_doorbell(one: One) -> None:
    created = await one.records.create(one.job(), Spec(graph={}, parameters={}))
    delivery = await one.received()
    assert delivery is not None
    rung = await one.records.update(created, jobs.ring, delivery=delivery)
    await delivery.hide(0)
    delivery = await one.received()
    assert delivery is not None, "a job that goes on keeps its doorbell"
    await one.records.update(rung, jobs.request_cancel, delivery=delivery)
    await delivery.hide(0)
    assert await one.received() is None


async def test_another_write_takes_the_place_of_the_first_if_nothing_is_there(one: One) -> None:
    other = Instead("B", "SUB#", Put({**ITEM, "is_other": True}, absent=True))
    assert await one.joint.write(Put(ITEM), Put({"pk": "C", "sk": "1"}), instead=other)
    assert await one.table.get(KEY) == {**ITEM, "is_other": True}
    assert await one.table.get(("C", "1")) is not None
    with pytest.raises(ConditionFailed):
        await one.joint.write(Put(ITEM), instead=other)


async def test_nothing_is_written_in_another_writes_place_beside_a_live_item(one: One) -> None:
    now_s = int(one.clock.now().timestamp())
    other = Instead("B", "SUB#", Put({**ITEM, "is_other": True}))
    for item, is_there in (
        ({"pk": "B", "sk": "SUB#1", "ttl": now_s - 10}, False),
        ({"pk": "B", "sk": "SUA#1"}, False),
        ({"pk": "B", "sk": "SUB#2", "ttl": now_s + 100}, True),
    ):
        await one.table.write(Put(item))
        assert await one.joint.write(Put(ITEM), instead=other) is not is_there
    assert await one.table.get(KEY) == ITEM


@pytest.mark.parametrize("is_followed", [False, True])
async def test_an_end_is_noted_as_announced_with_it_if_nobody_follows_the_job(
    one: One, is_followed: bool
) -> None:
    created = await one.records.create(one.job(), Spec(graph={}, parameters={}))
    if is_followed:
        follower = Subscription(Connection("c", "http://here"), "")
        await SubscriptionRecords(one.table).add(created.id, follower, now_s=2**31)
    announced = partial(jobs.announced, retention=timedelta(days=1))
    ended = await one.records.update(created, jobs.request_cancel, unfollowed=announced)
    for job in (ended, await one.records.get(created.id)):
        assert (job.status, job.version) == ("canceled", created.version + 1)
        assert job.end_pending is is_followed


@pytest.mark.parametrize("is_followed", [False, True])
async def test_a_worker_announces_an_end_unless_nobody_follows_the_job(
    one: One, is_followed: bool
) -> None:
    farm = Farm()
    farm.table, farm.queue, farm.clock = one.table, one.queue, one.clock  # type: ignore[assignment]
    farm.open()
    farm.records._joint = one.joint
    job = await farm.submit()
    if is_followed:
        await farm.follow(job)
    announced: list[JobId] = []
    update = farm.records.update

    async def noted(job: Job, change: Change, **options: Any) -> Job:
        if job.status.terminal:
            announced.append(job.id)
        return await update(job, change, **options)

    farm.records.update = noted  # type: ignore[method-assign]
    assert await farm.worker("w").run_once()
    ended = await farm.records.get(job.id)
    assert (ended.status, ended.end_pending) == ("succeeded", False)
    assert announced == ([job.id] if is_followed else [])
    assert [frame for _, frame in farm.notifier.posts][-1:] == [b"succeeded 1.0"] * is_followed
    farm.spool.close()
