"""What lists of jobs read, and how far one request goes."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import InvalidRequest
from comfyq.domain.job import Job, JobError, JobId, JobStatus
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.selection import Selection
from comfyq.domain.submission.spec import Spec
from comfyq.ports.table import Cursor
from comfyq.services.jobs.listing import MOST_READ, READ_TOGETHER, JobPage
from tests.farm import GRAPH, Farm

pytestmark = pytest.mark.anyio

MANY = 60
FEW = range(7, MANY, 20)  # every twentieth
FAILURES = frozenset({JobStatus.FAILED, JobStatus.EXPIRED})


async def stored(farm: Farm, **values: Any) -> Job:
    job = jobs.submitted(
        id=JobId(str(uuid4())),
        created_at=farm.clock.now(),
        **({"tenant": DEFAULT_TENANT, "workflow": "w"} | values),
    )
    await farm.records.create(job, Spec(graph=GRAPH, parameters={}))
    farm.clock.advance(1)
    return job


async def filled(farm: Farm, few: Mapping[str, Any]) -> list[JobId]:
    """Store MANY jobs, every twentieth with ``few``; return the ids of these, newest first."""
    ids = []
    for number in range(MANY):
        job = await stored(farm, **(few if number in FEW else {}))
        if number in FEW:
            ids.append(job.id)
    return ids[::-1]


async def page(farm: Farm, after: Cursor | None = None, limit: int = 2, **asked: Any) -> JobPage:
    return await farm.services.listing.page(OWNER, Selection(**asked), limit=limit, after=after)


async def all_of(farm: Farm, **asked: Any) -> tuple[list[JobId], int]:
    """Follow the cursor to the end; return the ids, and how many requests it took."""
    ids: list[JobId] = []
    after, requests = None, 0
    while True:
        found = await page(farm, after, **asked)
        ids += [job.id for job in found.jobs]
        after, requests = found.cursor, requests + 1
        if after is None:
            return ids, requests


@pytest.mark.parametrize(
    ("few", "asked"),
    [
        ({"workflow": "rare"}, {"workflow": "rare"}),
        ({"labels": {"run": "7", "by": "me"}}, {"labels": {"run": "7"}}),
    ],
    ids=["workflow", "label"],
)
async def test_a_narrowed_list_reads_what_it_shows_and_no_more(
    farm: Farm, few: dict[str, Any], asked: dict[str, Any]
) -> None:
    ids = await filled(farm, few)
    gets, listed = farm.table.gets, farm.table.listed
    first = await page(farm, **asked)
    assert [job.id for job in first.jobs] == ids[:2]
    assert (farm.table.gets - gets, farm.table.listed - listed) == (2, 2)
    rest = await page(farm, first.cursor, **asked)
    assert ([job.id for job in rest.jobs], rest.cursor) == (ids[2:], None)
    assert (farm.table.gets - gets, farm.table.listed - listed) == (3, 3)


async def test_a_list_by_status_reads_what_it_shows_and_no_more(farm: Farm) -> None:
    """It does not read through what has ended otherwise."""
    for number in range(MANY):
        job = await stored(farm)
        if number in FEW:
            failed = jobs.refuse(job, now=farm.clock.now(), error=JobError("x", "x"))
            await farm.records.save(failed)
    before = farm.table.listed
    first = await page(farm, statuses=FAILURES)
    assert len(first.jobs) == 2
    assert farm.table.listed - before <= 2
    rest = await page(farm, first.cursor, statuses=FAILURES)
    assert (len(rest.jobs), rest.cursor) == (1, None)
    assert farm.table.listed - before <= 4


async def test_a_list_of_some_time_reads_nothing_of_other_times(farm: Farm) -> None:
    early, since = await stored(farm), farm.clock.now()
    chosen = [(await stored(farm)).id for _ in range(3)]
    before = farm.clock.now()
    for _ in range(MANY):
        await stored(farm)
    listed = farm.table.listed
    ids, _ = await all_of(farm, since=since, before=before)
    assert ids == chosen[::-1]
    assert farm.table.listed - listed <= 4  # one more tells that there are no others
    assert (await all_of(farm, before=since))[0] == [early.id]


async def test_one_request_reads_a_bounded_number_and_says_where_to_go_on(farm: Farm) -> None:
    """Both conditions are of many jobs, and no job has both."""
    for number in range(2 * MOST_READ):
        await stored(farm, workflow=f"w{number % 2}", labels={"odd": str(1 - number % 2)})
    gets, listed = farm.table.gets, farm.table.listed
    first = await page(farm, labels={"odd": "1"}, workflow="w1")
    assert first.jobs == []
    assert first.cursor is None  # MOST_READ were all that have the label
    assert farm.table.gets - gets <= MOST_READ
    assert farm.table.listed - listed <= MOST_READ
    rare = await stored(farm, workflow="w1", labels={"odd": "1"})
    for _ in range(MOST_READ + READ_TOGETHER):
        await stored(farm, labels={"odd": "1"})
    gets = farm.table.gets
    first = await page(farm, labels={"odd": "1"}, workflow="w1")
    assert (first.jobs, first.cursor is None) == ([], False)
    assert farm.table.gets - gets <= MOST_READ
    ids, requests = await all_of(farm, labels={"odd": "1"}, workflow="w1")
    assert (ids, requests) == ([rare.id], 3)


async def test_several_conditions_are_all_kept(farm: Farm) -> None:
    labels = {"run": "7", "by": "me"}
    since = farm.clock.now()
    right = await stored(farm, workflow="a", labels=labels)
    for other in ({"workflow": "b"}, {"labels": {"run": "7"}}, {"tenant": TenantId("b")}):
        await stored(farm, **({"workflow": "a", "labels": labels} | other))
    failed = await stored(farm, workflow="a", labels=labels)
    await farm.records.save(jobs.refuse(failed, now=farm.clock.now(), error=JobError("x", "x")))
    asked = {"workflow": "a", "labels": labels, "since": since, "before": farm.clock.now()}
    queued = frozenset({JobStatus.QUEUED})
    assert (await all_of(farm, **asked, statuses=queued))[0] == [right.id]
    assert (await all_of(farm, **asked))[0] == [failed.id, right.id]
    assert (await all_of(farm, workflow="a", statuses=FAILURES))[0] == [failed.id]


async def test_a_list_of_a_batch_reads_the_batch_once(farm: Farm) -> None:
    """And what was refused of it, which has no jobs, however many jobs it looks at."""
    asked = [Request(graph=GRAPH) for _ in range(2 * READ_TOGETHER)]
    refused = InvalidRequest("it is no request")
    batches = farm.services.batch_submission
    batch = (await batches.submit(OWNER, [*asked, refused], digest="d")).batch
    gets, listed = farm.table.gets, farm.table.listed
    first = await page(farm, limit=1, batch=batch.id, labels={"no": "job"})
    assert (first.jobs, first.cursor) == ([], None)
    assert farm.table.gets - gets == len(asked) + 1
    assert farm.table.listed - listed == 1


async def test_a_removed_job_leaves_nothing_in_lists(farm: Farm) -> None:
    job = await stored(farm, labels={"a": "b"})
    await farm.records.remove(job)
    main = await farm.table.query("main", f"JOB#{job.id}", limit=9)
    assert main.items == []
    assert (await all_of(farm, labels={"a": "b"}))[0] == []
