"""One tenant against every record of another: nothing is read, changed, reused or even guessed.

The victim has one of each kind of record, all marked. The attacker, who has every scope and knows
every id, tries all routes with them. Afterwards each of the victim's records is what it was, and no
answer had a mark that the attacker did not send.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from comfyq.domain.caller import DEFAULT_TENANT, Scope, TenantId, tenant_id
from comfyq.domain.job import JobId, WorkerId
from comfyq.edges.api.cursors import encode_cursor
from comfyq.ports.table import INDEXES, Cursor
from comfyq.records.idempotency import Idempotency, idempotency_item
from comfyq.services.worker.prompts import prompt_of
from tests.access_lab import ALL, OTHER, AccessLab
from tests.api_lab import output
from tests.catalogue_lab import beat
from tests.comfy_lab import ASSETS, GRAPH, JOBS
from tests.socket_events import connected, event, subscribed
from tests.unit.edges.test_access import ROUTES, asked

pytestmark = pytest.mark.anyio

MARK = "marigold"  # in all that the victim says
KEY = "victim's own key#1"
FOX = {"prompt": f"a {MARK}", "reuse": True, "seed": 1}
FILE = f"{MARK} seeds".encode()

OF_A_TENANT = {
    *("JOB", "IDEM", "BATCH", "ASSET", "BLOB", "STORED", "UPLOAD", "REUSE", "KEY", "DEAD"),
    *("CONN", "SOCKETS", "TICKET", "FOLLOWED", "TENANT", "AUDIT", "RATE", "RUNNING", "RUNTIME"),
}
OF_THE_DEPLOYMENT = {
    *("FAMILY", "LINE", "SECRET", "WORKER", "CATALOGUE", "STORE"),
}
IDS = ("job_id", "batch_id", "asset_id", "upload_id", "letter_id", "key_id")


class Victim:
    """A tenant with one of each kind of record."""

    def __init__(self, lab: AccessLab) -> None:
        self.lab = lab

    async def make(self) -> None:
        self.key = await self.lab.key()
        self.things = await self.lab.things()
        self.sent = self.ask("POST", "/generate", json=FOX, headers={"Idempotency-Key": KEY}).json()
        job = await self.lab.records.get(JobId(self.sent["id"]))
        await self.lab.reuse.note(job, await self.lab.records.spec(job.id))  # as a worker does
        await self.lab.succeed(job.id, output(f"{MARK}.png"))
        await self.lab.services.run_times.put(job.tenant, job.workflow, 10.0)  # so does this
        self.reusable = self.ask("POST", "/generate", json=FOX)
        assert self.reusable.status_code == 200, "the victim itself reuses its results"
        self.file = self.ask("POST", f"/assets?filename={MARK}.txt", content=FILE).json()
        batch = {"requests": [{"prompt": MARK}]}
        headers = {"Idempotency-Key": f"{KEY} of a batch"}
        self.batch = self.ask("POST", "/generate/batch", json=batch, headers=headers).json()
        assert self.ask("POST", "/ws-ticket", json={}).status_code == 201
        await connected(self.lab.sockets, "victim", self.key, {"job_id": self.things.job_id})
        [waiting] = self.batch["items"]
        await subscribed(self.lab.sockets, "victim", waiting["job"]["id"])
        kept = {"retention_s": 86_400}
        assert self.ask("PUT", f"/tenants/{DEFAULT_TENANT}", json=kept).status_code == 200

    def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        return self.lab.ask(method, path, self.key, **request)


class Attacker:
    """Another tenant with every scope; keeps what it was answered."""

    def __init__(self, lab: AccessLab, key: str) -> None:
        self.lab, self.key = lab, key
        self.key_id = key.split("_")[1]
        self.answers: list[tuple[str, httpx2.Response]] = []

    def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        answer = self.lab.ask(method, path, self.key, **request)
        self.answers.append((f"{method} {path}", answer))
        return answer

    @property
    def told(self) -> Iterator[tuple[str, str]]:
        """Yield each answer, without the path that it was asked by."""
        for place, answer in self.answers:
            shown = dict(answer.headers)
            yield place, answer.text.replace(place.split()[1], "") + json.dumps(shown)


def items(lab: AccessLab) -> dict[tuple[str, str], str]:
    """Return what is stored of tenants, but for the attacker's own."""
    return {
        key: body
        for key, body in lab.table._items.items()
        if _kind(key[0]) in OF_A_TENANT and json.loads(body).get("tenant") != OTHER
    }


def _kind(partition: str) -> str:
    return partition.split("#")[0]


@pytest.fixture
async def lab() -> AccessLab:
    """With limits, which cost records of their own."""
    return AccessLab(
        COMFYQ_REQUESTS_PER_MINUTE=10_000, COMFYQ_JOBS_PER_DAY=10_000, COMFYQ_RUNNING_JOBS=100
    )


@pytest.fixture
async def victim(lab: AccessLab) -> Victim:
    victim = Victim(lab)
    await victim.make()
    return victim


@pytest.fixture
async def attacker(lab: AccessLab, victim: Victim) -> Attacker:
    return Attacker(lab, await lab.key(tenant=OTHER))


async def test_every_kind_of_record_is_somebodys(lab: AccessLab, victim: Victim) -> None:
    """A new kind fails here until it is said whose it is, and the victim has one."""
    kinds = {_kind(pk) for pk, _ in lab.table._items}
    assert kinds <= OF_A_TENANT | OF_THE_DEPLOYMENT
    assert kinds >= OF_A_TENANT
    marked = {_kind(pk) for (pk, _), body in lab.table._items.items() if MARK in body}
    assert marked >= {"JOB", "ASSET"}


async def test_no_route_reads_or_changes_what_is_anothers(
    lab: AccessLab, victim: Victim, attacker: Attacker
) -> None:
    before = items(lab)
    for place, row in ROUTES.items():
        if row.scope is None:
            continue  # a signed link, which is the right itself, or anyone's
        answer = asked(lab, place, victim.things, attacker.key)
        attacker.answers.append((place, answer))
    for job_id in (victim.sent["id"], victim.batch["items"][0]["job"]["id"]):
        for path in ("", "/outputs", "/story", "/metadata"):
            assert attacker.ask("GET", f"/generate/{job_id}{path}").status_code == 404
        assert attacker.ask("DELETE", f"/generate/{job_id}?purge=true").status_code == 404
        assert attacker.ask("POST", f"/generate/{job_id}/retry").status_code == 404
    after = items(lab)
    assert {key: after.get(key) for key in before} == before
    ids = {*victim.things.ids, victim.sent["id"], victim.file["id"], victim.batch["batch_id"]}
    for place, told in attacker.told:
        assert MARK not in told, place
        unsent = {each for each in ids if each not in place and _hole(victim, each) not in place}
        named = {each for each in unsent if each in told}
        assert not named, place


def _hole(victim: Victim, value: str) -> str:
    """Return what stands for an id in the table of routes."""
    return next((f"{{{name}}}" for name in IDS if getattr(victim.things, name) == value), value)


LISTS = (
    *("/generate", "/generate?status=completed", "/generate?created_before=2020-01-01T00:00:00Z"),
    *("/generate/batch", "/dead", "/audit", "/assets", JOBS),
)


@pytest.mark.parametrize("path", LISTS)
async def test_a_forged_cursor_stays_in_its_partition(
    lab: AccessLab, victim: Victim, attacker: Attacker, path: str
) -> None:
    """Checksums of cursors are no signatures: whoever reads the code can make one."""
    own = [attacker.key_id]
    attacker.key = await lab.key(ALL | {Scope.OPERATOR}, tenant=OTHER)
    own.append(attacker.key.split("_")[1])
    places = [json.loads(body) for body in lab.table._items.values()]
    forged = {
        Cursor(item[index.sort], item["pk"], item["sk"])
        for item in places
        for index in INDEXES.values()
        if index.sort in item
    }
    forged |= {Cursor("~", "~", "~"), Cursor("T#default", "T#default", "T#default")}
    assert len(forged) > 20
    for cursor in forged:
        joined = "&" if "?" in path else "?"
        answer = attacker.ask("GET", f"{path}{joined}cursor={encode_cursor(cursor)}")
        assert answer.status_code == 200, answer.text
        [listed] = [value for value in answer.json().values() if isinstance(value, list)]
        assert [each for each in listed if each.get("subject") not in own] == []


async def test_nothing_is_deduplicated_or_reused_across_tenants(
    victim: Victim, attacker: Attacker
) -> None:
    job = attacker.ask("POST", "/generate", json=FOX, headers={"Idempotency-Key": KEY})
    assert job.status_code == 202, "neither replayed nor reused nor a mismatch"
    assert job.json()["id"] != victim.sent["id"]
    assert "idempotent-replayed" not in job.headers
    other = {**FOX, "seed": 2}
    headers = {"Idempotency-Key": f"{KEY} of a batch"}
    batch = attacker.ask("POST", "/generate/batch", json={"requests": [other]}, headers=headers)
    assert batch.status_code == 202, "another request under the key is no mismatch"
    file = attacker.ask("POST", f"/assets?filename={MARK}.txt", content=FILE).json()
    assert file["id"] != victim.file["id"]
    taken = attacker.ask(
        "POST",
        "/workflows/sd15-img2img/generate",
        json={
            "prompt": "a fox",
            "image": f"asset:{victim.file['id']}",
        },
        headers={"X-Request-Id": "the-same"},
    )
    absent = attacker.ask(
        "POST",
        "/workflows/sd15-img2img/generate",
        json={
            "prompt": "a fox",
            "image": f"asset:{victim.file['id'][:-4]}0000",
        },
        headers={"X-Request-Id": "the-same"},
    )
    assert (taken.status_code, absent.status_code) == (422, 422)
    assert taken.text.replace(victim.file["id"][-4:], "0000") == absent.text


async def test_an_asset_of_another_is_missing_in_the_words_for_one_that_never_was(
    victim: Victim, attacker: Attacker
) -> None:
    """Well-formed requests of the Comfy API, with the ids and hashes of what is really there."""
    made = victim.ask("GET", f"{JOBS}/{victim.things.job_id}").json()["outputs"][0]
    for asset_id in (victim.file["id"], made["id"]):
        nobodys = f"{asset_id[:9]}0000{asset_id[13:]}"
        theirs, absent = (
            [
                attacker.ask("POST", JOBS, json={"workflow": loading(each, digest)}),
                attacker.ask("POST", "/generate", json={"graph": loading(each, digest)}),
                attacker.ask("POST", f"{ASSETS}/from-hash", json={"hash": f"blake3:{digest}"}),
                attacker.ask("HEAD", f"{ASSETS}/by-hash/blake3:{digest}"),
                attacker.ask("GET", f"{ASSETS}/{each}"),
                attacker.ask("GET", f"{ASSETS}/{each}/content"),
                attacker.ask("DELETE", f"{ASSETS}/{each}"),
            ]
            for each, digest in ((asset_id, victim.file["blake3"]), (nobodys, "0" * 64))
        )
        assert [each.status_code for each in theirs] == [422, 422, *[404] * 5]
        assert [_told(each, asset_id) for each in theirs] == [
            _told(each, nobodys) for each in absent
        ]
        assert "missing_asset" in theirs[0].text
    path = f"{ASSETS}/{victim.file['id']}/content"
    assert victim.ask("GET", path).content == FILE, "it is there, and stays"


def loading(asset_id: str, digest: str) -> dict[str, Any]:
    """Return a graph with a file in place of a name."""
    file = {"__type": "core/ASSET", "info": {"id": asset_id, "hash": f"blake3:{digest}"}}
    image = {"class_type": "LoadImage", "inputs": {"image": file}}
    return GRAPH | {"3": image}


def _told(answer: httpx2.Response, asset_id: str) -> tuple[int, str]:
    told = answer.text.replace(asset_id, "ID")
    return answer.status_code, re.sub(r'"request_id": ?"\w+"', "", told)


@pytest.mark.parametrize("mine", ["a#b", "a", "default#x", "DEFAULT ", ""])
def test_a_key_of_idempotency_does_not_reach_into_another_tenant(mine: str) -> None:
    """Keys may have "#", which parts the keys of items; names of tenants may not."""

    def place(tenant: str, key: str) -> str:
        item = idempotency_item(Idempotency(TenantId(tenant), key, "", JobId("j"), 0))
        return str(item["pk"])

    if "#" in mine or " " in mine or not mine:
        with pytest.raises(ValueError, match="is no tenant"):
            tenant_id(mine)
        return
    assert place(mine, "b#c") != place("other", "b#c")
    assert {place(tenant_id("a"), "b#c"), place(tenant_id("b"), "a#c")} == {
        "IDEM#a#b#c",
        "IDEM#b#a#c",
    }


async def test_a_socket_follows_no_job_of_another(
    lab: AccessLab, victim: Victim, attacker: Attacker
) -> None:
    assert (await connected(lab.sockets, "attacker", attacker.key))[0] == 200
    for job_id in (victim.things.job_id, victim.sent["id"], "00000000-0000-4000-8000-000000000000"):
        body = json.dumps({"action": "subscribe", "job_id": job_id})
        await lab.sockets.handle(event("subscribe", "attacker", body=body))
    frames = lab.notifier.frames("attacker")
    assert {each["code"] for each in frames} == {"job-not-found"}
    texts = {re.sub(r"[0-9a-f-]{36}", "ID", json.dumps(each)) for each in frames}
    assert len(texts) == 1, "there or not, the answer is the same"
    ticket = attacker.ask("POST", "/ws-ticket", json={"job_id": victim.things.job_id}).json()
    query = {"ticket": ticket["ticket"], "job_id": victim.things.job_id}
    assert await connected(lab.sockets, "second", None, query) == (404, "job-not-found")


async def test_comfyui_is_not_told_whose_job_it_runs(lab: AccessLab, victim: Victim) -> None:
    """Nodes of other tenants' graphs can read its history."""
    job = await lab.records.get(JobId(victim.sent["id"]))
    of_somebody = replace(job, tenant=TenantId("somebody"))
    prompt = prompt_of(of_somebody, await lab.records.spec(job.id))
    told = json.dumps([prompt.id, dict(prompt.graph), dict(prompt.extra_data)])
    assert "somebody" not in told
    assert job.id in told


async def test_what_everyone_may_ask_names_nobody(lab: AccessLab, victim: Victim) -> None:
    await beat(lab, "gpu-host-17", None)
    for path in ("/health", "/openapi.json", "/docs", "/redoc"):
        told = lab.ask("GET", path, None).text
        for secret in (MARK, "gpu-host-17", *victim.things.ids):
            assert secret not in told, (path, secret)
    assert WorkerId("gpu-host-17") in [each.id for each in await lab.workers.live()]
