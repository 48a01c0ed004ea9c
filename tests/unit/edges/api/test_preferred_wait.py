"""``Prefer: wait=n`` over in-memory ports."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import httpx2
import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope
from comfyq.domain.errors import Unauthenticated
from comfyq.domain.job import JobId
from comfyq.edges.api.open_answers.preferred_wait import LONGEST_S, preferred_wait_s
from comfyq.local.limits.overload import OverloadGuard
from tests.access_lab import ALL
from tests.api_lab import output
from tests.event_lab import EventLab, reading
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

FOX = {"prompt": "a fox"}
WAIT = {"Prefer": "wait=20"}


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000")


async def held(lab: EventLab) -> JobId:
    """Wait until a request is held; return the job that it waits for."""
    await until(lambda: any("SUB#" in sk for _, sk in lab.table._items))
    return next(JobId(pk.removeprefix("JOB#")) for pk, sk in lab.table._items if "SUB#" in sk)


async def finish(lab: EventLab, job_id: JobId) -> None:
    await lab.announce(await lab.succeed(job_id, output()))


@pytest.fixture
def lab() -> EventLab:
    return EventLab()


async def test_one_call_submits_and_returns_the_finished_job(lab: EventLab) -> None:
    async with client_of(lab.app) as client:
        sent = asyncio.create_task(client.post("/generate", json=FOX, headers=WAIT))
        await finish(lab, await held(lab))
        answer = await sent
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert answer.json()["image_url"]
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.headers["location"].endswith(answer.json()["id"])
    assert (lab.followers, lab.streams.live) == (set(), {})


async def test_a_job_that_goes_on_is_accepted_and_shown_as_it_is_then(lab: EventLab) -> None:
    async with client_of(lab.app) as client:
        sent = asyncio.create_task(client.post("/generate", json=FOX, headers=WAIT))
        job_id = await held(lab)
        await lab.announce(await lab.start(job_id))
        lab.streams.stop()  # or the time is over
        answer = await sent
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert answer.json()["seed"] is not None
    assert answer.headers["preference-applied"] == "wait=20"


async def test_a_request_for_a_job_is_held_too(lab: EventLab) -> None:
    job_id = JobId(lab.submit()["id"])
    async with client_of(lab.app) as client:
        sent = asyncio.create_task(client.get(f"/generate/{job_id}", headers=WAIT))
        assert await held(lab) == job_id
        await finish(lab, job_id)
        answer = await sent
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
        again = await client.get(f"/generate/{job_id}", headers={"Prefer": "wait=600"})
        assert again.headers["preference-applied"] == f"wait={LONGEST_S}"
        plain = await client.get(f"/generate/{job_id}")
    assert "preference-applied" not in plain.headers
    assert plain.json()["seq"] == again.json()["seq"]


async def test_an_end_between_the_answer_and_the_subscription_is_not_missed(
    lab: EventLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = JobId(lab.submit()["id"])
    add = lab.services.followers.add

    async def ended_first(*args: Any, **more: Any) -> None:
        await finish(lab, job_id)  # nobody follows: nobody is told
        await add(*args, **more)

    monkeypatch.setattr(lab.services.followers, "add", ended_first)
    async with client_of(lab.app) as client:
        answer = await client.get(f"/generate/{job_id}", headers=WAIT)
    assert answer.json()["status"] == "completed"


async def test_who_may_not_read_is_answered_at_once() -> None:
    lab = EventLab(COMFYQ_AUTH="keys")
    key = await lab.key(ALL - {Scope.READ})
    answer = lab.ask("POST", "/generate", key, json=FOX, headers=WAIT)
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_where_there_is_no_place_to_wait_the_answer_comes_at_once() -> None:
    lab = EventLab(most_streams=0)
    async with client_of(lab.app) as client:
        answer = await client.post("/generate", json=FOX, headers=WAIT)
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


async def test_what_waits_for_a_job_keeps_no_other_request_out(lab: EventLab) -> None:
    guard = OverloadGuard(lab.app, most=1)
    async with client_of(guard) as client:
        sent = asyncio.create_task(client.post("/generate", json=FOX, headers=WAIT))
        job_id = await held(lab)
        assert guard.waiting == 0
        assert (await client.get(f"/generate/{job_id}")).status_code == 200
        await finish(lab, job_id)
        assert (await sent).status_code == 200
    assert guard.waiting == 0


async def test_without_pushes_the_job_is_read_until_it_has_ended_or_the_time_is_over(
    lab: EventLab,
) -> None:
    job = await lab.submitted()
    polled = partial(lab.services.job_waits.polled, OWNER, job)
    assert (await polled(within_s=0.01)).status == "queued"
    waiting = asyncio.create_task(polled(within_s=20))
    await lab.succeed(job.id, output())
    assert (await waiting).status == "succeeded"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ([], 0),
        (["wait=5"], 5),
        (["respond-async, wait=5"], 5),
        (["respond-async", 'Wait="7"; x=1, wait=9'], 7),
        (["foo; wait=3"], 0),
        (["wait=9999999999"], 0),
        (["wait=3600"], LONGEST_S),
        (["wait"], 0),
        (["wait=-1"], 0),
        (["wait=٣"], 0),
    ],
)
def test_preferences(headers: Sequence[str], wait_s: int) -> None:
    assert preferred_wait_s(headers) == wait_s


async def test_a_request_for_a_batch_is_held_until_all_of_it_has_ended(lab: EventLab) -> None:
    sent = lab.client.post("/generate/batch", json={"requests": [FOX, FOX]}).json()
    ids = [JobId(item["job"]["id"]) for item in sent["items"]]
    path = f"/generate/batch/{sent['batch_id']}"
    async with client_of(lab.app) as client:
        asked = asyncio.create_task(client.get(path, headers=WAIT))
        await held(lab)
        for number, job_id in enumerate(ids):
            assert not asked.done()
            stored = await lab.succeed(job_id, output(f"{number}.png"))
            await lab.announce(stored)
        answer = await asked
    assert (answer.json()["done"], answer.json()["counts"]["completed"]) == (True, 2)
    assert answer.headers["preference-applied"] == "wait=20"
    assert lab.followers == set()
    plain = lab.client.get(path, headers=WAIT)  # of a server that holds no answer open
    assert (plain.status_code, plain.headers.get("preference-applied")) == (200, None)


async def test_a_wait_ends_with_its_key_and_no_other_does() -> None:
    lab = EventLab(COMFYQ_AUTH="keys")
    owner = await lab.key()
    made, leaked = await lab.keys.create(DEFAULT_TENANT, "leaked", ALL, lives=None)
    job_id = lab.ask("POST", "/generate", owner, json=FOX).json()["id"]
    asked = {"requests": [FOX]}
    batch_id = lab.ask("POST", "/generate/batch", owner, json=asked).json()["batch_id"]
    paths = [f"/generate/{job_id}", f"/generate/batch/{batch_id}"]
    async with client_of(lab.app) as client:

        def send(key: str, method: str, path: str, **request: Any) -> asyncio.Task[Any]:
            headers = {**WAIT, "X-API-Key": key}
            return asyncio.create_task(client.request(method, path, headers=headers, **request))

        others = [send(owner, "GET", path) for path in paths]
        held_back = [send(leaked, "GET", path) for path in paths]
        posted = send(leaked, "POST", "/generate", json=FOX)
        await until(lambda: len(lab.streams.live) == 5)
        await until(lambda: sum(pk == f"SOCKETS#{made.id}" for pk, _ in lab.table._items) == 3)
        await lab.keys.revoke(made.id)
        answers = [await each for each in held_back]
        assert [answer.status_code for answer in answers] == [401, 401]
        assert {answer.json()["code"] for answer in answers} == {"unauthenticated"}
        accepted = await posted
        assert (accepted.status_code, accepted.json()["status"]) == (202, "queued")
        assert "preference-applied" not in accepted.headers
        assert not any(each.done() for each in others)
        lab.streams.stop()
        assert [(await each).status_code for each in others] == [200, 200]
    assert lab.followers == set()


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_without_pushes_a_wait_ends_with_its_key_too(how: str) -> None:
    lab = EventLab(COMFYQ_AUTH="keys")
    made, _ = await lab.keys.create(DEFAULT_TENANT, "brief", ALL, lives=timedelta(hours=1))
    caller = Caller(DEFAULT_TENANT, ALL, key=made.id, until=made.expires_at)
    lab.ask("POST", "/generate", await lab.key(), json=FOX)
    [listed] = (await lab.services.listing.page(caller, limit=1)).jobs
    waiting = asyncio.create_task(lab.services.job_waits.polled(caller, listed, within_s=20))
    await asyncio.sleep(0)
    if how == "revoked":
        await lab.keys.revoke(made.id)
    else:
        lab.clock.advance(3_601)
    with pytest.raises(Unauthenticated):
        await waiting


async def test_who_goes_away_keeps_no_place(lab: EventLab) -> None:
    job_id = lab.submit()["id"]
    async with reading(lab.app, f"/generate/{job_id}", headers=WAIT) as reader:
        await held(lab)
        reader.leave()
        await reader.end()
    assert (lab.followers, lab.streams.live) == (set(), {})
