"""Outputs of jobs in as many items as they need."""

from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import JobNotFound, StaleJob, TooLarge
from comfyq.domain.files.output import MAX_OUTPUTS, Output, OutputKind
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.spec import Spec
from comfyq.records.jobs import JobRecords
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio

SPEC = Spec(graph={}, parameters={})
LONG_NAME = "ñ" * 100


class Store:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.table = MemoryTable(clock=self.clock)
        self.records = JobRecords(self.table, clock=self.clock, new_write_id=lambda: uuid4().hex)

    async def job(self, name: str = "j") -> Job:
        job = jobs.submitted(
            id=JobId(name), tenant=DEFAULT_TENANT, workflow="w", created_at=self.clock.now()
        )
        return await self.records.create(job, SPEC)

    async def running(self) -> Job:
        job = await self.job()
        for change in (
            partial(jobs.claim, worker=jobs.WorkerId("w1"), ttl=jobs.RING_AGAIN),
            partial(jobs.start, token=1),
        ):
            job = await self.records.update(job, change)
        return job

    async def succeeded(self, outputs: list[Output]) -> Job:
        succeed = partial(jobs.succeed, token=1)
        return await self.records.update(await self.running(), succeed, outputs=outputs)

    async def keys(self) -> list[str]:
        page = await self.table.query("main", "JOB#j", limit=1_000)
        return [item["sk"] for item in page.items]


@pytest.fixture
def store() -> Store:
    return Store()


def outputs_of(count: int, name: str = "a") -> list[Output]:
    return [
        Output(
            node="9",
            filename=f"{name}_{index:05d}_.png",
            kind=OutputKind.IMAGE,
            content_type="image/png",
            size=index,
            blake3="0" * 64,
            key=f"outputs/j/1/{index}-{name}_{index:05d}_.png",
        )
        for index in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 1_200, 2_500, MAX_OUTPUTS])
async def test_as_many_as_there_are_come_back_in_order(store: Store, count: int) -> None:
    outputs = outputs_of(count, LONG_NAME)
    await store.succeeded(outputs)
    assert await store.records.outputs(JobId("j")) == outputs


@pytest.mark.parametrize(("start", "end"), [(0, 1), (499, 1_801), (2_499, None), (2_500, None)])
async def test_a_page_is_read_without_the_rest(store: Store, start: int, end: int | None) -> None:
    outputs = outputs_of(2_500, LONG_NAME)
    await store.succeeded(outputs)
    page = await store.records.output_page(JobId("j"), start=start, end=end)
    assert page.outputs == outputs[start:end]
    assert (page.total, page.after) == (2_500, end)


async def test_a_job_without_an_end_has_none(store: Store) -> None:
    await store.running()
    page = await store.records.output_page(JobId("j"))
    assert (page.outputs, page.total, page.after) == ([], 0, None)


async def test_parts_of_an_attempt_that_lost_are_never_read_and_go_with_the_job(
    store: Store,
) -> None:
    running = await store.running()
    lost = jobs.succeed(
        replace(running, version=running.version - 1), token=1, now=store.clock.now()
    )
    with pytest.raises(StaleJob):
        await store.records.save(replace(lost, attempt=7), outputs=outputs_of(5_000))
    assert [key for key in await store.keys() if key.startswith("OUT#0007#")]
    assert await store.records.outputs(JobId("j")) == []

    won = await store.records.update(
        running, partial(jobs.succeed, token=1), outputs=outputs_of(3, "won")
    )
    assert await store.records.outputs(JobId("j")) == outputs_of(3, "won")
    await store.records.remove(won)
    assert await store.keys() == []


async def test_parts_of_an_attempt_that_lost_can_be_deleted_at_once(store: Store) -> None:
    outputs = outputs_of(MAX_OUTPUTS, LONG_NAME)
    await store.succeeded(outputs)
    await store.records.discard_outputs(JobId("j"), 2)
    assert await store.records.outputs(JobId("j")) == outputs
    await store.records.discard_outputs(JobId("j"), 1)
    assert [key for key in await store.keys() if key.startswith("OUT#")] == []


async def test_a_job_that_reuses_results_has_those_of_the_other(store: Store) -> None:
    outputs = outputs_of(2_500, LONG_NAME)
    earlier = await store.succeeded(outputs)
    later = jobs.submitted(
        id=JobId("later"), tenant=DEFAULT_TENANT, workflow="w", created_at=store.clock.now()
    )
    await store.records.create(jobs.reuse(later, of=earlier, now=store.clock.now()), SPEC)
    page = await store.records.output_page(JobId("later"), start=2_000, end=2_001)
    assert (page.outputs, page.total) == ([outputs[2_000]], 2_500)


async def test_an_output_larger_than_an_item_is_refused_before_the_job_ends(store: Store) -> None:
    with pytest.raises(TooLarge):
        await store.succeeded([replace(outputs_of(1)[0], node="9" * 400_000)])
    assert not (await store.records.get(JobId("j"))).status.terminal


async def test_a_deleted_job_has_none(store: Store) -> None:
    await store.records.remove(await store.succeeded(outputs_of(MAX_OUTPUTS)))
    assert await store.records.outputs(JobId("j")) == []
    with pytest.raises(JobNotFound):
        await store.records.get(JobId("j"))
