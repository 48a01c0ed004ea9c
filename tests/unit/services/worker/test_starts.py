"""A start is stored beside the run and beside what follows it, but always before the end."""

import asyncio
from collections.abc import AsyncIterator
from itertools import groupby

import pytest

from comfyq.domain.job import JobStatus
from comfyq.ports.engine import Rendered, RenderedFileGone
from comfyq.ports.table import Put, Write
from comfyq.testing.memory.table import MemoryTable
from tests.farm import Farm
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio


class SlowStart(MemoryTable):
    """Store a job's start only when the files of its run have been asked for."""

    def __init__(self, farm: Farm) -> None:
        super().__init__(clock=farm.clock)
        self.fetched = asyncio.Event()
        self.statuses: list[str] = []

    async def write(self, *writes: Write, synced: bool = True) -> None:
        jobs = [each.item for each in writes if isinstance(each, Put) and "status" in each.item]
        if any(job["status"] == "running" for job in jobs):
            await self.fetched.wait()
        await super().write(*writes, synced=synced)
        self.statuses += [job["status"] for job in jobs]


class Fetched(ScriptedEngine):
    """A ComfyUI that notes that a file was asked for, and may have none."""

    def __init__(self, table: SlowStart, *, has_files: bool) -> None:
        super().__init__()
        self._table = table
        self._has_files = has_files

    async def fetch(self, rendered: Rendered) -> AsyncIterator[bytes]:
        self._table.fetched.set()
        if not self._has_files:
            raise RenderedFileGone(rendered.filename)
        async for chunk in super().fetch(rendered):
            yield chunk


@pytest.mark.parametrize(
    ("has_files", "last"), [(True, JobStatus.SUCCEEDED), (False, JobStatus.QUEUED)]
)
async def test_results_are_fetched_while_the_start_is_stored_and_the_end_follows_both(
    farm: Farm, has_files: bool, last: JobStatus
) -> None:
    farm.table = table = SlowStart(farm)
    farm.open()
    job = await farm.submit()
    async with asyncio.timeout(20):
        assert await farm.worker("w1", Fetched(table, has_files=has_files)).run_once()
    assert (await farm.records.get(job.id)).status is last
    assert [status for status, _ in groupby(table.statuses)] == ["queued", "running", last]
