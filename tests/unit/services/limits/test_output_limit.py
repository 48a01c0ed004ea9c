"""The limit on the bytes of the outputs of a tenant's jobs."""

from datetime import timedelta
from typing import Any

import anyio
import pytest

from comfyq.domain.audit import Actor
from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope, TenantId
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobError, JobId, JobStatus
from comfyq.domain.tenant import Limits
from comfyq.ports.inbox import Message
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio

FOX = {"prompt": "a fox"}
MOST = 25
SIZE = 10  # of each output


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab(COMFYQ_OUTPUT_BYTES=MOST)


async def test_who_has_as_much_as_it_may_makes_no_more_jobs(lab: ApiLab) -> None:
    made = [lab.submit(seed=seed)["id"] for seed in range(4)]
    for count, job_id in enumerate(made[:3]):
        assert used(lab) == count * SIZE
        await lab.succeed(job_id, output(f"{count}.png", size=SIZE))
    await lab.fail(made[3], JobError("node-error", "it broke"))
    refused = post(lab)
    assert (refused.status_code, refused.json()["code"]) == (413, "outputs-full")
    assert "take 30 bytes; the most is 25 (COMFYQ_OUTPUT_BYTES)" in refused.json()["detail"]
    assert "604800 s" in refused.json()["detail"]
    batch = lab.client.post("/generate/batch", json={"requests": [FOX]})
    again = lab.client.post(f"/generate/{made[3]}/retry")
    assert [each.json()["code"] for each in (batch, again)] == ["outputs-full"] * 2
    sender = Caller(DEFAULT_TENANT, frozenset({Scope.SUBMIT}))
    await lab.intake.take(sender, Message("queued", '{"prompt": "a fox"}'))
    queued = await lab.records.get(JobId("queued"))
    assert queued.error is not None
    assert (queued.status, queued.error.code) == (JobStatus.FAILED, "outputs-full")

    lab.client.delete(f"/generate/{made[0]}?purge=true")
    assert used(lab) == 20
    assert post(lab).status_code == 202


async def test_what_was_accepted_runs_and_goes_beyond(lab: ApiLab) -> None:
    first, second = lab.submit()["id"], lab.submit(seed=1)["id"]
    await lab.succeed(first, output(size=1_000))
    ended = await lab.succeed(second, output("b.png", size=1_000))
    assert ended.status is JobStatus.SUCCEEDED
    assert used(lab) == 2_000


async def test_results_that_a_job_reuses_count_once(lab: ApiLab) -> None:
    first = JobId(lab.submit(seed=7, reuse=True)["id"])
    await lab.reuse.note(await lab.records.get(first), await lab.records.spec(first))
    await lab.succeed(first, output(size=SIZE))
    second = post(lab, seed=7, reuse=True).json()
    assert second["status"] == "completed"
    assert used(lab) == SIZE
    lab.client.delete(f"/generate/{second['id']}?purge=true")
    assert used(lab) == SIZE


async def test_expired_jobs_count_no_more(lab: ApiLab) -> None:
    await lab.succeed(job_id := lab.submit()["id"], output(size=SIZE))
    job = await lab.services.announcer.announce_end(await lab.records.get(JobId(job_id)))
    lab.clock.advance((job.due_at - lab.clock.now()).total_seconds() + 1)
    assert (await lab.reaper.reap())["deleted"] == 1
    assert used(lab) == 0


async def test_of_two_deletions_of_a_job_at_once_one_counts(lab: ApiLab) -> None:
    first, second = lab.submit(seed=1)["id"], lab.submit(seed=2)["id"]
    for name, job_id in (("a.png", first), ("b.png", second)):
        await lab.succeed(job_id, output(name, size=SIZE))
    job, both, delete = await lab.records.get(JobId(first)), anyio.Event(), lab.assets.delete
    asked: list[str] = []

    async def held(key: str) -> None:
        asked.append(key)
        if len(asked) == 2:
            both.set()  # both have read what there is to delete
        await both.wait()
        await delete(key)

    lab.assets.delete = held  # type: ignore[method-assign]
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(lab.services.job_deletion.delete, job)
    assert used(lab) == SIZE


async def test_a_tenant_that_keeps_its_jobs_longer_has_them_counted(lab: ApiLab) -> None:
    kept = timedelta(days=100)
    await lab.services.tenants.keep(DEFAULT_TENANT, kept, by=Actor("user me"))
    lab.services.known_tenants.forget(DEFAULT_TENANT)
    await lab.succeed(lab.submit()["id"], output(size=SIZE))
    lab.clock.advance(timedelta(days=90).total_seconds())
    assert used(lab) == SIZE


async def test_what_a_crash_left_counted_is_not_read_for_ever(lab: ApiLab) -> None:
    """The job was deleted, but the process was killed before its bytes were taken away."""
    await lab.succeed(job_id := lab.submit()["id"], output(size=SIZE))
    job = await lab.records.get(JobId(job_id))
    await lab.records.remove(job)
    assert used(lab) == SIZE
    lab.clock.advance(
        lab.services.retention.usual.total_seconds() + timedelta(days=4).total_seconds()
    )
    assert used(lab) == 0


async def test_an_end_is_stored_although_its_bytes_cannot_be_counted(
    lab: ApiLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise TableUnavailable("away")

    job_id = lab.submit()["id"]
    with monkeypatch.context() as patched:
        patched.setattr(lab.table, "add", away)
        ended = await lab.succeed(job_id, output(size=SIZE))
    assert ended.status is JobStatus.SUCCEEDED
    assert used(lab) == 0
    lab.client.delete(f"/generate/{job_id}?purge=true")  # takes away what was not counted
    await lab.succeed(lab.submit()["id"], output(size=SIZE))
    assert used(lab) == SIZE


async def test_a_tenant_may_have_a_limit_of_its_own(lab: ApiLab) -> None:
    own = Limits(output_bytes=SIZE)
    await lab.services.tenants.limit(DEFAULT_TENANT, own, by=Actor("user me"))
    lab.services.known_tenants.forget(DEFAULT_TENANT)
    await lab.succeed(lab.submit()["id"], output(size=SIZE))
    assert lab.client.get("/quota").json()["output_bytes"] == {"limit": SIZE, "used": SIZE}
    assert "the most is 10 (the tenant's own limit)" in post(lab).json()["detail"]


async def test_without_a_limit_nothing_is_counted() -> None:
    lab = ApiLab()
    await lab.succeed(job_id := lab.submit()["id"], output(size=SIZE))
    lab.client.delete(f"/generate/{job_id}?purge=true")
    assert lab.client.get("/quota").json()["output_bytes"] is None
    assert lab.table.added == 0


async def test_tenants_have_bytes_of_their_own(lab: ApiLab) -> None:
    await lab.succeed(lab.submit()["id"], output(size=SIZE))
    other = await lab.services.submission_limits.outputs.used(TenantId("acme"))
    assert other == (0, MOST)


def post(lab: ApiLab, **values: Any) -> Any:
    return lab.client.post("/generate", json=FOX | values)


def used(lab: ApiLab) -> int:
    share: dict[str, int] = lab.client.get("/quota").json()["output_bytes"]
    assert share["limit"] == MOST
    return share["used"]
