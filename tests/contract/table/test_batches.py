"""What is noted of a batch while it is being stored, in every engine."""

from dataclasses import replace
from datetime import timedelta
from itertools import count
from uuid import UUID

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import BatchNotFound
from comfyq.domain.job import JobStatus
from comfyq.domain.submission.batch import Batch, BatchId
from comfyq.domain.submission.spec import Spec
from comfyq.ports.table import Table
from comfyq.records.batches.members import Member, member_id
from comfyq.records.batches.records import BatchRecords
from comfyq.records.jobs import JobRecords
from comfyq.testing.memory.clock import ManualClock

pytestmark = pytest.mark.anyio

WITHIN = timedelta(seconds=60)


async def _kept(tenant: TenantId) -> timedelta:
    return timedelta(days=7)


async def test_a_batch_is_listed_as_unstored_until_somebody_notes_its_end(
    table: Table, clock: ManualClock
) -> None:
    ids = count()
    records = BatchRecords(table, new_write_id=lambda: f"w{next(ids)}", kept=_kept)
    now = clock.now().replace(microsecond=0)
    due = now + WITHIN
    batch = Batch(
        id=BatchId("batch-1"),
        tenant=DEFAULT_TENANT,
        created_at=now,
        size=3,
        digest="d",
        storing=True,
        looked_at=due,
    )
    other = replace(batch, id=BatchId("batch-2"))
    for each in (batch, other):
        await records.create(each, None)
    assert await records.get(batch.id) == batch
    assert await records.unstored(now) == []
    assert await records.unstored(due) == [batch.id, other.id]

    canceled = await records.cancel(batch, at=now)  # meanwhile, by who knows its first version
    assert await records.unstored(due) == [other.id], "what is stored by its end counts"
    assert await records.canceling(now - WITHIN) == []
    assert await records.canceling(now) == [batch.id]
    again = await records.cancel(canceled, at=due)
    assert await records.canceled(canceled) == again, "somebody has asked for it again since"
    assert await records.canceling(due) == [batch.id]
    await records.canceled(again)
    assert await records.canceling(due) == []
    assert await records.unstored(due) == [batch.id, other.id]
    stored = await records.stored(batch)
    assert stored == replace(batch, canceled=True, storing=False, looked_at=None, version=5)
    assert await records.get(batch.id) == stored
    assert await records.stored(stored) == stored, "nothing to write"
    assert await records.unstored(due) == [other.id]

    again = await records.storing(other, until=due + WITHIN)
    assert await records.given_up(other, at=due) == again, "it has begun again"
    given_up = await records.given_up(again, at=due + WITHIN)
    assert (given_up.storing, given_up.is_partial) == (False, True)
    assert await records.unstored(due + WITHIN) == [other.id], "until its followers are told"
    assert (await records.unlist(given_up)).looked_at is None
    assert await records.unstored(due + WITHIN) == []
    with pytest.raises(BatchNotFound):
        await records.stored(replace(batch, id=BatchId("batch-3")))

    canceled = await records.cancel(given_up, at=due)
    assert (canceled.canceled, canceled.canceling_since) == (True, due)
    assert await records.get(other.id) == canceled
    assert await records.storing(given_up, until=due) == canceled, "nobody stores it again"


async def test_a_job_is_stored_before_its_batch_is_canceled_or_as_canceled(
    table: Table, clock: ManualClock
) -> None:
    ids = count()
    records = BatchRecords(table, new_write_id=lambda: f"w{next(ids)}", kept=_kept)
    batch_id, now = BatchId(str(UUID(int=1))), clock.now().replace(microsecond=0)

    def members() -> list[Member]:
        made = [
            jobs.submitted(
                id=member_id(batch_id, index),
                tenant=DEFAULT_TENANT,
                workflow="flux-dev",
                created_at=now,
                labels={"of": "zoo"},
            )
            for index in range(8)
        ]
        spec = Spec(graph={"1": {}}, parameters={})
        return [records.member(job, spec, batch_id) for job in made]

    [first] = await records.add(members()[:1])
    assert first.status is JobStatus.QUEUED
    clock.advance(1)
    for _ in range(2):
        await records.cancel_unstored(batch_id, range(8), at=clock.now())
    later = await records.add(members())
    assert [job.id for job in later] == [member_id(batch_id, index) for index in range(1, 8)]
    assert {job.status for job in later} == {JobStatus.CANCELED}
    assert await records.add(members()) == [], "all are there"
    stored = JobRecords(table, clock=clock, new_write_id=lambda: f"w{next(ids)}")
    for job in [first, *later]:
        assert (await stored.get(job.id)).status is job.status
        assert (await stored.spec(job.id)).graph == {"1": {}}
