"""Reads of a SQLite table do not keep the event loop from others."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.domain.submission.spec import Spec
from comfyq.ports.table import MAX_ITEM_BYTES
from comfyq.records.jobs import JobRecords
from comfyq.testing.memory.clock import ManualClock
from tests.api_lab import TTL, output
from tests.turns import counted_turns

pytestmark = pytest.mark.anyio

OUTPUTS = 4_000


@pytest.fixture
def records(tmp_path: Path) -> Iterator[JobRecords]:
    database, clock = Database(path=tmp_path / "comfyq.db"), ManualClock()
    table = SqliteTable(database=database, clock=clock)
    yield JobRecords(table, clock=clock, new_write_id=lambda: uuid4().hex)
    database.close()


async def create(records: JobRecords, name: str) -> Job:
    now = ManualClock().now()
    job = jobs.submitted(id=JobId(name), tenant=DEFAULT_TENANT, workflow="w", created_at=now)
    return await records.create(job, Spec(graph={}, parameters={}))


async def test_others_get_a_turn_with_each_part_of_many_outputs(records: JobRecords) -> None:
    job = await create(records, "j")
    for change in (
        partial(jobs.claim, worker=WorkerId("w"), ttl=TTL),
        partial(jobs.start, token=1),
    ):
        job = await records.update(job, change)
    stored = [output(f"{number:0300}.png") for number in range(OUTPUTS)]
    await records.update(job, partial(jobs.succeed, token=1), outputs=stored)
    at_least = sum(len(each.filename) for each in stored) // MAX_ITEM_BYTES
    async with counted_turns() as turns:
        assert await records.outputs(job.id) == stored
        taken = turns.taken
    assert taken >= at_least > 1
