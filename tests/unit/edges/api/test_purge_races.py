"""Deletion of a job by its owner while other things happen to it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain import job as jobs
from comfyq.domain.errors import JobReused
from comfyq.domain.job import Job, JobId
from comfyq.ports.inbox import Message
from tests.api_lab import ApiLab
from tests.unit.edges.api.test_purge import purged, reused

pytestmark = pytest.mark.anyio

ID = "11111111-1111-4111-8111-111111111111"
PLAIN = Message(ID, '{"prompt": "a fox"}', {})
REUSING = Message(ID, '{"prompt": "a fox", "seed": 1, "reuse": true}', {})


def beside(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch, work: Callable[[Job], Awaitable[Any]]
) -> None:
    """Do something between a job's condemnation and its deletion."""
    delete = lab.services.job_deletion.delete

    async def interrupted(job: Job) -> None:
        await work(job)
        await delete(job)

    monkeypatch.setattr(lab.services.job_deletion, "delete", interrupted)


async def test_a_message_that_comes_again_meanwhile_keeps_its_jobs_files(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, [other], made = await reused(lab)
    assert purged(lab, other).status_code == 200
    await lab.intake.take(OWNER, REUSING)
    beside(lab, monkeypatch, lambda _: lab.intake.take(OWNER, REUSING))
    assert purged(lab, first).status_code == 409
    assert lab.assets.stored.keys() == {made.key}
    assert lab.show(ID)["reused_from"] == first


async def test_two_purges_that_are_refused_leave_the_job_its_time(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one reads what the first has condemned, and is refused after it."""
    first, _, _ = await reused(lab)
    assert purged(lab, first).status_code == 409  # its end is announced, and it has its time
    before = await lab.records.get(JobId(first))
    delete, asked = lab.services.job_deletion.delete, [asyncio.Event() for _ in range(3)]

    async def in_turn(job: Job) -> None:
        number = sum(event.is_set() for event in asked)
        asked[number].set()
        await asked[number + 1].wait()
        await delete(job)

    async def refused() -> None:
        with pytest.raises(JobReused):
            await lab.services.purge.purge(OWNER, JobId(first))

    monkeypatch.setattr(lab.services.job_deletion, "delete", in_turn)
    earlier = asyncio.create_task(refused())
    await asked[0].wait()
    later = asyncio.create_task(refused())
    await earlier
    asked[2].set()
    await later
    after = await lab.records.get(JobId(first))
    assert (after.due_at, after.barred_until) == (before.due_at, None)


async def test_a_stored_jobs_note_is_not_withdrawn(lab: ApiLab) -> None:
    first, [later], _ = await reused(lab)
    reusers = lab.services.reusers
    assert not await reusers.add(JobId(first), JobId(later))
    await reusers.withdraw(JobId(first), JobId(later))
    assert [each.id async for each in reusers.of(JobId(first))] == [later]


async def test_a_note_of_a_job_with_other_files_is_no_obstacle(lab: ApiLab) -> None:
    first, [later], _ = await reused(lab)
    assert purged(lab, later).status_code == 200
    other = lab.submit()["id"]
    await lab.services.reusers.add(JobId(first), JobId(other))
    lab.clock.advance(301)
    assert purged(lab, first).status_code == 200


async def test_a_purge_that_is_cut_off_bars_the_message(lab: ApiLab) -> None:
    await lab.intake.take(OWNER, PLAIN)
    await lab.change(ID, jobs.request_cancel)
    await lab.change(ID, jobs.condemn)
    assert (await lab.reaper.reap())["deleted"] == 1
    await lab.intake.take(OWNER, PLAIN)
    assert lab.client.get(f"/generate/{ID}").status_code == 404


async def test_a_deletion_after_another_leaves_the_bar_and_a_newer_job(lab: ApiLab) -> None:
    await lab.intake.take(OWNER, PLAIN)
    ended = await lab.change(ID, jobs.request_cancel)
    condemned = await lab.change(ID, jobs.condemn)
    await lab.records.remove(condemned)
    await lab.records.remove(ended)
    assert await lab.table.get((f"JOB#{ID}", "SPEC")) is not None
    lab.clock.advance(16 * 86_400)
    await lab.intake.take(OWNER, PLAIN)
    await lab.records.remove(condemned)
    assert lab.show(ID)["status"] == "queued"
    assert lab.client.get(f"/generate/{ID}/metadata").status_code == 200


@pytest.mark.parametrize("path", ["", "/story", "/metadata"])
async def test_a_job_deleted_while_it_is_read_is_not_found(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    job_id = lab.submit()["id"]
    await lab.change(job_id, jobs.request_cancel)
    read = lab.services.records.spec

    async def late(found: JobId) -> Any:
        await lab.services.purge.purge(OWNER, found)
        return await read(found)

    monkeypatch.setattr(lab.services.records, "spec", late)
    assert lab.client.get(f"/generate/{job_id}{path}").status_code == 404


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()
