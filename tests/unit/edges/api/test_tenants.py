"""How long a tenant's jobs and files are kept, by its administrators and by the operator."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from comfyq.domain.audit import Actor
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.files.sources import asset_id_of
from comfyq.domain.job import JobId
from comfyq.services.limits.known_tenants import READ_EVERY
from tests.access_lab import OTHER, AccessLab
from tests.api_lab import output

pytestmark = pytest.mark.anyio

USUAL_S = 7 * 86_400  # of the lab
DAY_S, HOUR_S = 86_400, 3_600
FOX = b"a fox"
PNG = {"Content-Type": "image/png"}


@pytest.fixture
def lab() -> AccessLab:
    return AccessLab()


async def ended(lab: AccessLab, key: str) -> str:
    """Return the id of a job whose end is announced."""
    job_id: str = lab.ask("POST", "/generate", key, json={"prompt": "a fox"}).json()["id"]
    await lab.services.announcer.announce_end(await lab.succeed(job_id, output()))
    return job_id


def is_there(lab: AccessLab, key: str, job_id: str) -> bool:
    return lab.ask("GET", f"/generate/{job_id}", key).status_code == 200


def use(lab: AccessLab, key: str, source: str) -> str:
    """Return the id of a new job that uses a file."""
    body = {"workflow": "sd15-img2img", "prompt": "a fox", "image": source}
    answer = lab.ask("POST", "/generate", key, json=body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{b64encode(content).decode()}"


async def keep(lab: AccessLab, key: str, retention_s: Any, tenant: str = "default") -> Any:
    return lab.ask("PUT", f"/tenants/{tenant}", key, json={"retention_s": retention_s})


async def test_a_job_is_kept_for_as_long_as_its_tenant_says(lab: AccessLab) -> None:
    mine, other = await lab.key(), await lab.key(tenant=OTHER)
    usual = {"tenant": "default", "retention_s": USUAL_S, "retention_is_own": False}
    assert lab.ask("GET", "/tenants/default", mine).json() == usual
    before = await ended(lab, mine)
    changed = (await keep(lab, mine, DAY_S)).json()
    assert changed == {"tenant": "default", "retention_s": DAY_S, "retention_is_own": True}
    lab.clock.advance(READ_EVERY.total_seconds())
    after, others = await ended(lab, mine), await ended(lab, other)
    lab.clock.advance(DAY_S + 1)
    await lab.services.reaper.reap()
    assert not is_there(lab, mine, after)
    assert is_there(lab, mine, before)  # it had its deadline already
    assert is_there(lab, other, others)
    assert (await keep(lab, mine, None)).json() == usual
    lab.clock.advance(READ_EVERY.total_seconds())
    job = await lab.services.records.get(JobId(await ended(lab, mine)))
    assert job.due_at == lab.clock.now() + timedelta(seconds=USUAL_S)


async def test_files_are_kept_for_as_long(lab: AccessLab) -> None:
    key = await lab.key()
    await keep(lab, key, DAY_S)
    asset = lab.ask("POST", "/assets", key, content=b"a fox").json()["id"]
    lab.clock.advance(DAY_S + 1)
    await lab.services.reaper.reap()
    assert lab.ask("GET", f"/assets/{asset}", key).status_code == 404


async def test_a_job_finds_its_files_though_it_waits_for_longer(lab: AccessLab) -> None:
    """Those that it names, and those that came with it; they are kept for no longer than it may
    wait and run, and another job that comes later has them for as long."""
    key = await lab.key()
    await keep(lab, key, HOUR_S)
    named = lab.ask("POST", "/assets", key, content=FOX).json()
    lab.clock.advance(HOUR_S - 60)
    jobs = [use(lab, key, source) for source in (named["source"], data_uri(b"a dog"))]
    lab.clock.advance(20 * HOUR_S)
    await lab.services.reaper.reap()
    later = use(lab, key, named["source"])
    lab.clock.advance(3 * HOUR_S)
    await lab.services.reaper.reap()
    for job_id in (*jobs, later):
        assert lab.ask("GET", f"/generate/{job_id}", key).json()["status"] == "queued"
        [file] = (await lab.records.spec(JobId(job_id))).inputs
        assert lab.ask("GET", f"/assets/{asset_id_of(file.source)}", key).status_code == 200
    lab.clock.advance(4 * DAY_S)
    await lab.services.reaper.reap()
    assert not lab.assets.stored


async def test_a_shorter_time_takes_no_file_from_a_job_that_waits(lab: AccessLab) -> None:
    key = await lab.key()
    named = lab.ask("POST", "/assets", key, content=FOX, headers=PNG).json()
    use(lab, key, named["source"])
    await keep(lab, key, HOUR_S)
    lab.clock.advance(READ_EVERY.total_seconds())
    again = lab.ask("POST", "/assets", key, content=FOX, headers={"Content-Type": "text/plain"})
    assert (again.json()["id"], again.json()["content_type"]) == (named["id"], "text/plain")
    lab.clock.advance(2 * DAY_S)
    await lab.services.reaper.reap()
    assert lab.ask("GET", f"/assets/{named['id']}", key).status_code == 200


async def test_the_operator_alone_keeps_longer_than_is_usual(lab: AccessLab) -> None:
    key = await lab.key()
    refused = await keep(lab, key, USUAL_S + 1)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-parameters")
    for wrong in (59, 10**12, "1d", True):
        assert (await keep(lab, key, wrong)).status_code == 422
    long = timedelta(days=90)
    kept = await lab.services.tenants.keep(DEFAULT_TENANT, long, by=Actor("user me", "here"))
    assert (kept.time, kept.own) == (long, True)
    lab.clock.advance(READ_EVERY.total_seconds())
    batch = lab.ask("POST", "/generate/batch", key, json={"requests": [{"prompt": "a fox"}]}).json()
    [item] = batch["items"]
    await lab.services.announcer.announce_end(await lab.succeed(item["job"]["id"], output()))
    lab.clock.advance(80 * DAY_S)
    await lab.services.reaper.reap()
    assert is_there(lab, key, item["job"]["id"])
    assert lab.ask("GET", f"/generate/batch/{batch['batch_id']}", key).status_code == 200


async def test_another_tenant_is_not_there(lab: AccessLab) -> None:
    key = await lab.key()
    for tenant in (OTHER, "nobody"):
        assert (await keep(lab, key, DAY_S, tenant)).json()["code"] == "tenant-not-found"
    assert (await lab.services.tenants.kept(OTHER)).own is False


async def test_ends_of_many_jobs_cost_one_read_of_their_tenant(lab: AccessLab) -> None:
    reads: list[Any] = []
    records = lab.services.tenant_records
    get = records.get

    async def counted(tenant: Any) -> Any:
        reads.append(tenant)
        return await get(tenant)

    records.get = counted  # type: ignore[method-assign]
    key = await lab.key()
    for _ in range(5):
        await ended(lab, key)
    assert reads == [DEFAULT_TENANT]
