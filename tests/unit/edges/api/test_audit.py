"""What is done to a tenant's keys, jobs and dead letters is in its audit log, and stays there."""

from typing import Any

import pytest

from comfyq.domain.audit import AuditEntry
from comfyq.domain.caller import Scope
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId
from comfyq.records.access.audit import KEPT
from tests.access_lab import ALL, OTHER, AccessLab

pytestmark = pytest.mark.anyio


@pytest.fixture
def lab() -> AccessLab:
    return AccessLab()


def log_of(lab: AccessLab, key: str, query: str = "limit=100") -> Any:
    answer = lab.ask("GET", f"/audit?{query}", key)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_each_action_is_noted_with_who_and_from_where(lab: AccessLab) -> None:
    key = await lab.key(ALL | {Scope.OPERATOR})
    by = f"key {key.split('_')[1]}"
    things = await lab.things()
    made = lab.ask("POST", "/keys", key, json={"name": "new"}).json()
    for method, path, body in (
        ("DELETE", f"/keys/{made['id']}", {}),
        ("POST", f"/dead/{things.letter_id}/redrive", {}),
        ("DELETE", f"/generate/{things.job_id}?purge=true", {}),
        ("PUT", "/tenants/default", {"json": {"retention_s": 3_600}}),
    ):
        lab.clock.advance(1)
        assert lab.ask(method, path, key, **body).status_code == 200, path
    entries = [each for each in log_of(lab, key)["entries"] if each["who"] == by]
    assert [(each["action"], each["subject"]) for each in entries] == [
        ("retention-changed", "default"),
        ("job-purged", things.job_id),
        ("dead-letter-redriven", things.letter_id),
        ("key-revoked", made["id"]),
        ("key-created", made["id"]),
    ]
    assert {each["address"] for each in entries} == {"127.0.0.1"}
    assert entries[0]["details"] == {"retention": "3600 s"}
    assert entries[-1]["details"] == {"name": "new", "scopes": "cancel graph read submit wait"}
    text = str(log_of(lab, key))
    assert made["key"].split("_")[2] not in text
    assert key.split("_")[2] not in text


async def test_pages_hold_every_entry_once(lab: AccessLab) -> None:
    key = await lab.key()
    for number in range(5):
        lab.clock.advance(1)
        lab.ask("POST", "/keys", key, json={"name": f"k{number}"})
    names: list[str] = []
    query = "limit=2"
    while True:
        page = log_of(lab, key, query)
        names += [each["details"]["name"] for each in page["entries"]]
        if page["next_cursor"] is None:
            break
        query = f"limit=2&cursor={page['next_cursor']}"
    assert names == ["k4", "k3", "k2", "k1", "k0", "a key"]


async def test_a_tenant_has_a_log_of_its_own(lab: AccessLab) -> None:
    mine, other = await lab.key(), await lab.key(tenant=OTHER)
    made = lab.ask("POST", "/keys", mine, json={"name": "new"}).json()
    assert lab.ask("DELETE", f"/keys/{made['id']}", other).status_code == 404
    assert [each["action"] for each in log_of(lab, other)["entries"]] == ["key-created"]
    assert {each["action"] for each in log_of(lab, mine)["entries"]} == {"key-created"}


@pytest.mark.parametrize(
    ("method", "path", "body", "done"),
    [
        ("POST", "/keys", {"name": "new"}, 201),
        ("DELETE", "/keys/{key_id}", None, 200),
        ("POST", "/dead/{letter_id}/redrive", None, 200),
        ("DELETE", "/generate/{job_id}?purge=true", None, 200),
        ("PUT", "/tenants/default", {"retention_s": 3_600}, 200),
    ],
)
async def test_what_cannot_be_noted_is_not_done(
    lab: AccessLab,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: Any,
    done: int,
) -> None:
    async def away(entry: AuditEntry) -> None:
        raise TableUnavailable("away")

    key, things = await lab.key(ALL | {Scope.OPERATOR}), await lab.things()
    await lab.services.announcer.announce_end(await lab.records.get(JobId(things.job_id)))
    lab.ask("GET", "/quota", key)  # the key's first use is noted
    ids = {name: getattr(things, name) for name in ("key_id", "letter_id", "job_id")}
    asked = path.format(**ids)
    files, items = dict(lab.assets.stored), dict(lab.table._items)
    with monkeypatch.context() as patched:
        patched.setattr(lab.services.audit._records, "add", away)
        assert lab.ask(method, asked, key, json=body).status_code == 503
    assert (lab.assets.stored, lab.table._items) == (files, items)
    assert lab.ask(method, asked, key, json=body).status_code == done


async def test_an_entry_is_kept_for_a_year(lab: AccessLab) -> None:
    await lab.key()
    lab.clock.advance(KEPT.total_seconds() - 60)
    key = await lab.key()
    assert len(log_of(lab, key)["entries"]) == 2
    lab.clock.advance(120)
    assert len(log_of(lab, key)["entries"]) == 1


async def test_a_canceled_batch_is_noted_once(lab: AccessLab) -> None:
    key = await lab.key()
    sent = {"requests": [{"prompt": "a fox"}] * 2}
    batch = lab.ask("POST", "/generate/batch", key, json=sent).json()["batch_id"]
    for _ in range(2):
        lab.clock.advance(1)
        assert lab.ask("DELETE", f"/generate/batch/{batch}", key).status_code == 202
    noted = [each for each in log_of(lab, key)["entries"] if each["action"] == "batch-canceled"]
    assert [(each["subject"], each["details"]) for each in noted] == [(batch, {"jobs": "2"})]
    other = await lab.key(tenant=OTHER)
    assert lab.ask("DELETE", f"/generate/batch/{batch}", other).status_code == 404
    assert len(log_of(lab, other)["entries"]) == 1
