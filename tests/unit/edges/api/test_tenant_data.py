"""The deletion of all data of a tenant, as its administrators ask for it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.caller import Scope
from comfyq.domain.errors import DataBeingDeleted, JobNotFound, TableUnavailable
from comfyq.domain.job import JobId
from comfyq.ports.inbox import Message
from comfyq.services.limits.known_tenants import READ_EVERY
from comfyq.services.operations.data_deletion import LETS_IN
from tests.access_lab import ALL, CONTENT, FILE, OTHER, AccessLab
from tests.api_lab import TTL, output

pytestmark = pytest.mark.anyio

DATA = "/tenants/default/data"
FOX = {"prompt": "a fox"}
QUEUED = Message("11111111-1111-4111-8111-111111111111", '{"prompt": "a fox"}', {})


@pytest.fixture
def lab() -> AccessLab:
    return AccessLab()


def shown(lab: AccessLab, key: str) -> Any:
    return lab.ask("GET", DATA, key).json()


async def test_it_is_accepted_and_its_progress_shown(lab: AccessLab) -> None:
    key = await lab.key()
    none: dict[str, Any] = {"status": "none", "begun_at": None, "ended_at": None, "deleted": {}}
    assert shown(lab, key) == {"tenant": "default", **none}
    job_id = lab.ask("POST", "/generate", key, json=FOX).json()["id"]
    await lab.succeed(job_id, made := output())
    lab.store(made, b"pixels")
    begun = lab.ask("DELETE", DATA, key)
    assert (begun.status_code, begun.headers["location"]) == (202, f"http://lab:8000{DATA}")
    lab.clock.advance(1)
    assert lab.ask("DELETE", DATA, key).json() == begun.json() == shown(lab, key)
    await lab.reaper.reap()
    running = shown(lab, key)
    assert (running["status"], running["deleted"]) == ("running", {"jobs": 1})
    assert lab.ask("GET", f"/generate/{job_id}", key).status_code == 404
    assert lab.assets.stored == {}
    lab.clock.advance(LETS_IN.total_seconds())
    await lab.reaper.reap()
    ended = shown(lab, key)
    assert (ended["status"], ended["begun_at"]) == ("ended", running["begun_at"])
    assert ended["ended_at"] > ended["begun_at"]
    again = lab.ask("DELETE", DATA, key).json()
    assert (again["status"], again["deleted"]) == ("running", {})
    assert again["begun_at"] >= ended["ended_at"]


async def test_a_file_that_was_being_sent_meanwhile_is_not_stored_after_it(lab: AccessLab) -> None:
    key = await lab.key()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"half of it"
        assert lab.ask("DELETE", DATA, key).status_code == 202
        lab.clock.advance(LETS_IN.total_seconds())
        for _ in range(2):
            await lab.reaper.reap()
        assert shown(lab, key)["status"] == "ended"
        yield b" and the rest"

    with pytest.raises(DataBeingDeleted, match="send it again"):
        await lab.services.uploads.add(OWNER, slowly(), filename="a.png", content_type="image/png")
    assert lab.assets.stored == {}


async def test_a_running_job_is_stopped_first(lab: AccessLab) -> None:
    key = await lab.key()
    job_id = lab.ask("POST", "/generate", key, json=FOX).json()["id"]
    await lab.start(job_id)
    lab.ask("DELETE", DATA, key)
    await lab.reaper.reap()
    job = await lab.records.get(JobId(job_id))
    assert job.cancel_requested
    lab.clock.advance(LETS_IN.total_seconds())
    await lab.reaper.reap()
    assert shown(lab, key)["status"] == "running"
    lab.clock.advance(TTL.total_seconds())  # its worker is gone, and so is the lease then
    for _ in range(3):
        await lab.reaper.reap()
        lab.clock.advance(5)
    assert shown(lab, key)["status"] == "ended"
    with pytest.raises(JobNotFound):
        await lab.records.get(JobId(job_id))


async def test_nothing_new_is_stored_meanwhile(lab: AccessLab) -> None:
    key, other = await lab.key(), await lab.key(tenant=OTHER)
    sent: dict[str, Any] = {"json": FOX, "headers": {"Idempotency-Key": "k"}}
    assert lab.ask("POST", "/generate", key, **sent).status_code == 202
    offer = lab.ask("POST", "/assets/uploads", key, json=FILE).json()
    lab.ask("DELETE", DATA, key)
    for path, request in (
        ("/generate", {"json": FOX}),
        ("/generate", sent),
        ("/generate/batch", {"json": {"requests": [FOX]}}),
        ("/workflows/sd15/generate", {"json": FOX}),
        ("/assets", {"content": CONTENT}),
        ("/assets/uploads", {"json": FILE}),
    ):
        answer = lab.ask("POST", path, key, **request)
        assert (answer.status_code, answer.json()["code"]) == (409, "data-being-deleted"), path
        assert "send it again when that has ended" in answer.json()["detail"], path
        assert lab.ask("POST", path, other, **request).status_code in (201, 202), path
    address = offer["url"].removeprefix("http://lab:8000")
    assert lab.ask("PUT", address, None, content=CONTENT).status_code == 409
    assert lab.ask("GET", "/quota", key).status_code == 200
    lab.clock.advance(LETS_IN.total_seconds())
    for _ in range(3):
        await lab.reaper.reap()
        lab.clock.advance(READ_EVERY.total_seconds())
    assert shown(lab, key)["status"] == "ended"
    assert lab.ask("POST", "/generate", key, **sent).status_code == 202


async def test_a_message_of_a_queue_waits_for_its_end(lab: AccessLab) -> None:
    key = await lab.key(ALL | {Scope.OPERATOR})
    lab.ask("DELETE", DATA, key)
    for take in (lab.intake.take, lab.intake.take_dead):
        with pytest.raises(DataBeingDeleted):
            await take(OWNER, QUEUED)
    for _ in range(3):
        lab.clock.advance(LETS_IN.total_seconds())
        await lab.reaper.reap()
    assert shown(lab, key)["status"] == "ended"
    assert lab.ask("GET", "/dead", key).json()["letters"] == []
    await lab.intake.take(OWNER, QUEUED)
    assert lab.ask("GET", f"/generate/{QUEUED.id}", key).json()["status"] == "queued"


async def test_another_tenant_is_not_there(lab: AccessLab) -> None:
    key = await lab.key()
    for tenant in (OTHER, "nobody"):
        for method in ("GET", "DELETE"):
            answer = lab.ask(method, f"/tenants/{tenant}/data", key)
            assert (answer.status_code, answer.json()["code"]) == (404, "tenant-not-found")
    assert (await lab.services.tenants.data(OTHER)).deletion is None


async def test_what_cannot_be_noted_is_not_begun(lab: AccessLab) -> None:
    key = await lab.key()
    shown(lab, key)
    lab.table.faults_before.append(TableUnavailable("away"))
    assert lab.ask("DELETE", DATA, key).status_code == 503
    assert shown(lab, key)["status"] == "none"


async def test_keys_and_what_is_said_of_the_tenant_stay(lab: AccessLab) -> None:
    key = await lab.key()
    lab.ask("PUT", "/tenants/default", key, json={"retention_s": 3_600})
    lab.clock.advance(1)
    lab.ask("DELETE", DATA, key)
    for _ in range(3):
        lab.clock.advance(LETS_IN.total_seconds())
        await lab.reaper.reap()
    assert shown(lab, key)["status"] == "ended"
    assert lab.ask("GET", "/tenants/default", key).json()["retention_s"] == 3_600
    actions = [each["action"] for each in lab.ask("GET", "/audit", key).json()["entries"]]
    assert actions[:2] == ["data-deleted", "data-deletion-begun"]


def test_a_deletion_lasts_until_what_was_sent_unseen_is_stored() -> None:
    """Other processes know of it after READ_EVERY, and what they let in is sent as long without
    another look."""
    assert LETS_IN >= 2 * READ_EVERY
