"""Every route and frame, asked by each kind of client: no cell of the table is left out."""

import json
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import WebSocketRoute

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope
from comfyq.domain.job import JobError, WorkerId
from comfyq.edges.a1111.routes.fixed import ANSWERS, REFRESHED
from comfyq.edges.api.authentication import scopes_of
from comfyq.edges.api.problems import PROBLEM_JSON
from comfyq.edges.websocket.frame_kinds import CONNECT_SCOPE, FRAMES
from comfyq.local.application import local_app
from comfyq.ports.notifier import Connection
from tests.access_lab import (
    ALL,
    BODY,
    CONTENT,
    FILE,
    FOX,
    NAMED,
    OTHER,
    RECEIVER,
    AccessLab,
    KeyedServer,
    Things,
)
from tests.asgi_client import AsgiClient
from tests.cells import Cells
from tests.comfy_lab import ASSETS, JOBS
from tests.comfy_lab import BODY as COMFY_BODY
from tests.comfy_lab import HASH as COMFY_HASH
from tests.issuer import rsa_key, serving_issuer
from tests.socket_events import ENDPOINT, connected, event
from tests.told_errors import MISSING_SCOPE, UNAUTHENTICATED, contract_of, told_by
from tests.webhook_lab import Death, ScriptedReceiver

pytestmark = pytest.mark.anyio

AGAIN = {**NAMED, "reuse": True}
READS = ("GET ", "HEAD ")
NOT_FOUND = 404
NOT_FAILED = 409  # what is tried again has failed, as no job of these things has
NOT_SERVED = 501  # an answer that stays open, which nothing in memory holds
UNREADABLE = 400  # in the words of OpenAI's API and RunPod's
REFUSED = 422
NO_DEFAULT = 422  # the row before has deleted it
DESCRIPTIONS = {"/openapi.json", "/docs", "/docs/{name}", "/redoc"}  # anyone's
A1111_READS = (
    *("options", "progress", "sd-models", "samplers", "schedulers", "loras", "upscalers"),
    *("prompt-styles", *ANSWERS),
)
UUIDS = ("job_id", "batch_id", "asset_id", "upload_id")


@dataclass(frozen=True, slots=True)
class Route:
    """A request, and what is answered to whom."""

    scope: Scope | None  # None: no key is asked for; the link is signed, or anyone may know
    right: int  # status for a client of the thing's tenant with that scope
    other: int | None = None  # status for one of another tenant; None: as ``right``
    request: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""
    also: frozenset[Scope] = frozenset()  # scopes that it needs as well
    operator: int | None = None  # status for an operator of another tenant; None: as ``other``

    @property
    def scopes(self) -> frozenset[Scope]:
        return self.also | ({self.scope} if self.scope else set())


ROUTES = {
    "POST /generate": Route(Scope.SUBMIT, 202, request={"json": AGAIN}),
    "GET /generate": Route(Scope.READ, 200),
    "GET /generate/{job_id}": Route(Scope.READ, 200, NOT_FOUND),
    "GET /generate/{job_id}/outputs": Route(Scope.READ, 200, NOT_FOUND),
    "GET /generate/{job_id}/events": Route(Scope.READ, NOT_SERVED, NOT_FOUND),
    "GET /generate/{job_id}/story": Route(Scope.READ, 200, NOT_FOUND),
    "GET /generate/{job_id}/metadata": Route(Scope.READ, 200, NOT_FOUND),
    "GET /generate/{job_id}/deliveries": Route(Scope.READ, 200, NOT_FOUND),
    "POST /generate/{job_id}/deliveries/{delivery_id}/redeliver": Route(
        Scope.SUBMIT, 202, NOT_FOUND, also=frozenset({Scope.READ})
    ),
    "DELETE /generate/{job_id}": Route(Scope.CANCEL, 200, NOT_FOUND),
    "GET /generate/{job_id}/outputs/{index}": Route(None, 200, query="{output_query}"),
    "HEAD /generate/{job_id}/outputs/{index}": Route(None, 200, query="{output_query}"),
    "GET /generate/batch/{batch_id}/events": Route(Scope.READ, NOT_SERVED, NOT_FOUND),
    "POST /generate/batch": Route(Scope.SUBMIT, 202, request={"json": {"requests": [AGAIN]}}),
    "POST /generate/{job_id}/retry": Route(
        Scope.SUBMIT, NOT_FAILED, NOT_FOUND, also=frozenset({Scope.READ})
    ),
    "POST /generate/batch/{batch_id}/retry": Route(
        Scope.SUBMIT, NOT_FAILED, NOT_FOUND, also=frozenset({Scope.READ})
    ),
    "GET /generate/batch": Route(Scope.READ, 200),
    "GET /generate/batch/{batch_id}": Route(Scope.READ, 200, NOT_FOUND),
    "DELETE /generate/batch/{batch_id}": Route(Scope.CANCEL, 202, NOT_FOUND),
    "POST /assets/uploads": Route(Scope.SUBMIT, 201, request={"json": FILE}),
    "PUT /assets/uploads/{upload_id}/content": Route(
        None, 204, request=BODY, query="{upload_query}"
    ),
    "POST /assets/uploads/{upload_id}/complete": Route(Scope.SUBMIT, 201, NOT_FOUND),
    "POST /assets": Route(Scope.SUBMIT, 201, request=BODY),
    "GET /assets": Route(Scope.READ, 200),
    "GET /assets/{asset_id}": Route(Scope.READ, 200, NOT_FOUND),
    "DELETE /assets/{asset_id}": Route(Scope.CANCEL, 204, NOT_FOUND),
    "GET /dead": Route(Scope.OPERATOR, 200),
    "GET /dead/{letter_id}": Route(Scope.OPERATOR, 200),
    "POST /dead/{letter_id}/redrive": Route(Scope.OPERATOR, 200),
    "GET /workflows": Route(Scope.READ, 200),
    "GET /workflows/{name}": Route(Scope.READ, 200),
    "GET /workflows/{name}/choices": Route(Scope.READ, 200),
    "POST /workflows/{name}/generate": Route(
        Scope.SUBMIT, 202, request={"json": {**FOX, "reuse": True}}
    ),
    "GET /workers": Route(Scope.OPERATOR, 200),
    "GET /health": Route(None, 200),
    "GET /health/live": Route(None, 200),
    "GET /health/ready": Route(None, 200),
    "GET /quota": Route(Scope.READ, 200),
    "GET /metrics": Route(Scope.METRICS, 200),
    "POST /keys": Route(Scope.ADMIN, 201, request={"json": {"name": "mine"}}),
    "GET /keys": Route(Scope.ADMIN, 200),
    "DELETE /keys/{key_id}": Route(Scope.ADMIN, 200, NOT_FOUND, operator=200),
    "GET /tenants/{tenant_id}": Route(Scope.ADMIN, 200, NOT_FOUND, operator=200),
    "PUT /tenants/{tenant_id}": Route(
        Scope.ADMIN, 200, NOT_FOUND, operator=200, request={"json": {"retention_s": 3_600}}
    ),
    "GET /webhooks": Route(Scope.ADMIN, 200),
    "PUT /webhooks": Route(Scope.ADMIN, 200, request={"json": {"url": RECEIVER}}),
    "DELETE /webhooks": Route(Scope.ADMIN, 200),
    "GET /webhooks/secret": Route(Scope.ADMIN, 200),
    "POST /webhooks/secret/rotate": Route(Scope.ADMIN, 200),
    "POST /webhooks/test": Route(Scope.ADMIN, NO_DEFAULT),
    "GET /tenants/{tenant_id}/data": Route(Scope.ADMIN, 200, NOT_FOUND, operator=200),
    "DELETE /tenants/{tenant_id}/data": Route(Scope.ADMIN, 202, NOT_FOUND, operator=202),
    "GET /audit": Route(Scope.ADMIN, 200),
    "POST /ws-ticket": Route(Scope.READ, 201, request={"json": {}}),
    f"POST {JOBS}": Route(
        Scope.SUBMIT, 201, request={"json": COMFY_BODY}, also=frozenset({Scope.GRAPH})
    ),
    f"GET {JOBS}": Route(Scope.READ, 200),
    f"GET {JOBS}/{{job_id}}": Route(Scope.READ, 200, NOT_FOUND),
    f"GET {JOBS}/{{job_id}}/workflow": Route(Scope.READ, 200, NOT_FOUND),
    f"GET {JOBS}/{{job_id}}/events": Route(Scope.READ, NOT_SERVED, NOT_FOUND),
    f"POST {JOBS}/{{job_id}}/cancel": Route(Scope.CANCEL, 200, NOT_FOUND),
    f"POST {ASSETS}": Route(Scope.SUBMIT, 422, request=BODY),  # which is no form
    f"POST {ASSETS}/from-hash": Route(Scope.SUBMIT, NOT_FOUND, request={"json": COMFY_HASH}),
    f"HEAD {ASSETS}/by-hash/{{digest}}": Route(Scope.SUBMIT, NOT_FOUND),
    f"DELETE {ASSETS}/{{asset_id}}": Route(Scope.CANCEL, 204, NOT_FOUND),
    f"GET {ASSETS}/{{asset_id}}": Route(Scope.READ, 200, NOT_FOUND),
    f"GET {ASSETS}/{{asset_id}}/content": Route(Scope.READ, 200, NOT_FOUND),
    f"HEAD {ASSETS}/{{asset_id}}/content": Route(Scope.READ, 200, NOT_FOUND),
    "GET /v1/models": Route(Scope.READ, 200),
    "GET /v1/models/{name}": Route(Scope.READ, 200),
    "POST /v1/images/generations": Route(
        Scope.SUBMIT,
        UNREADABLE,  # one that can be read is held until its job has ended
        request={"json": FOX | {"size": "wide"}},
        also=frozenset({Scope.READ}),
    ),
    "POST /v1/images/edits": Route(
        Scope.SUBMIT, UNREADABLE, request=BODY, also=frozenset({Scope.READ})
    ),
    "POST /v2/{endpoint}/run": Route(
        Scope.SUBMIT,
        200,
        request={"json": {"input": COMFY_BODY}},
        also=frozenset({Scope.GRAPH}),
    ),
    "POST /v2/{endpoint}/runsync": Route(
        Scope.SUBMIT,
        UNREADABLE,
        request={"json": {"input": {}}},
        also=frozenset({Scope.GRAPH, Scope.READ}),
    ),
    "GET /v2/{endpoint}/status/{job_id}": Route(Scope.READ, 200, NOT_FOUND),
    "POST /v2/{endpoint}/cancel/{job_id}": Route(Scope.CANCEL, 200, NOT_FOUND),
    "GET /v2/{endpoint}/health": Route(Scope.READ, 200),
    **{
        f"POST /sdapi/v1/{name}": Route(
            Scope.SUBMIT, REFUSED, request={"json": {"steps": "many"}}, also=frozenset({Scope.READ})
        )
        for name in ("txt2img", "img2img", "extra-single-image")
    },
    **{f"GET /sdapi/v1/{name}": Route(Scope.READ, 200) for name in A1111_READS},
    **{f"POST /sdapi/v1/{name}": Route(Scope.READ, 200) for name in REFRESHED},
    "POST /sdapi/v1/options": Route(Scope.READ, 200, request={"json": {"sd_vae": "Automatic"}}),
    "POST /sdapi/v1/png-info": Route(Scope.READ, REFUSED, request={"json": {"image": "-"}}),
    "POST /sdapi/v1/interrupt": Route(Scope.CANCEL, 200),
    "POST /sdapi/v1/skip": Route(Scope.CANCEL, 200),
    "GET /{base}prompt": Route(Scope.READ, 200),
    "POST /{base}prompt": Route(
        Scope.SUBMIT,
        200,
        request={"json": {"prompt": COMFY_BODY["workflow"]}},
        also=frozenset({Scope.GRAPH}),
    ),
    "GET /{base}queue": Route(Scope.READ, 200),
    "POST /{base}queue": Route(Scope.CANCEL, 200),
    "POST /{base}interrupt": Route(Scope.CANCEL, 200),
    "GET /{base}history": Route(Scope.READ, 200),
    "GET /{base}history/{prompt_id}": Route(Scope.READ, 200),
    "POST /{base}upload/image": Route(Scope.SUBMIT, UNREADABLE, request=BODY),
    "POST /{base}upload/mask": Route(Scope.SUBMIT, UNREADABLE, request=BODY),
    "GET /{base}view": Route(
        Scope.READ, 200, NOT_FOUND, query="filename=a.png&subfolder={job_id}/0"
    ),
    "HEAD /{base}view": Route(
        Scope.READ, 200, NOT_FOUND, query="filename=a.png&subfolder={job_id}/0"
    ),
    "GET /{base}object_info": Route(Scope.READ, 200),
    "GET /{base}object_info/{name}": Route(Scope.READ, 200),
    "GET /{base}models": Route(Scope.READ, 200),
    "GET /{base}models/{folder}": Route(Scope.READ, NOT_FOUND),
    "GET /{base}embeddings": Route(Scope.READ, 200),
    "GET /{base}extensions": Route(Scope.READ, 200),
    "GET /{base}features": Route(Scope.READ, 200),
    "GET /{base}system_stats": Route(Scope.READ, 200),
    "POST /{base}free": Route(Scope.SUBMIT, 200),
    "GET /{base}ws": Route(Scope.READ, NOT_SERVED),
}


async def no_key(lab: KeyedServer, scope: Scope | None) -> None:
    return None


async def wrong(lab: KeyedServer, scope: Scope | None) -> str:
    """Another secret behind an id that there is."""
    return (await lab.key())[:-64] + "0" * 64


async def unknown(lab: KeyedServer, scope: Scope | None) -> str:
    return f"cq_{'0' * 16}_{'0' * 64}"


async def malformed(lab: KeyedServer, scope: Scope | None) -> str:
    return "let-me-in"


async def expired(lab: KeyedServer, scope: Scope | None) -> str:
    return await lab.expired_key()


async def revoked(lab: KeyedServer, scope: Scope | None) -> str:
    return await lab.revoked_key()


async def other_tenant(lab: KeyedServer, scope: Scope | None) -> str:
    return await lab.key(tenant=OTHER)


async def other_tenants_operator(lab: KeyedServer, scope: Scope | None) -> str:
    return await lab.key(ALL | {Scope.OPERATOR}, tenant=OTHER)


async def too_little_scope(lab: KeyedServer, scope: Scope | None) -> str:
    return await lab.key(ALL - {scope} if scope else ALL)


async def right(lab: KeyedServer, scope: Scope | None) -> str:
    return await lab.key(frozenset({scope} if scope else ALL))


async def expired_token(lab: KeyedServer, scope: Scope | None) -> str:
    """A token of an hour ago, and a minute more than the clocks may differ by."""
    now_s = int(lab.services.ports.clock.now().timestamp())
    return lab.token(iat=now_s - 3_720, exp=now_s - 120)


async def forged_token(lab: KeyedServer, scope: Scope | None) -> str:
    """Signed by another key than the one that it names."""
    return lab.token(key=rsa_key(1))


async def unsigned_token(lab: KeyedServer, scope: Scope | None) -> str:
    return lab.token(key="", algorithm="none")


async def token_for_another(lab: KeyedServer, scope: Scope | None) -> str:
    return lab.token(aud="another server")


async def token_of_another(lab: KeyedServer, scope: Scope | None) -> str:
    return lab.token(iss="https://another.example")


async def token_without_tenant(lab: KeyedServer, scope: Scope | None) -> str:
    return lab.token(tenant=None)


async def other_tenants_token(lab: KeyedServer, scope: Scope | None) -> str:
    return lab.token(tenant=OTHER)


async def token_with_too_little_scope(lab: KeyedServer, scope: Scope | None) -> str:
    return lab.token(ALL - {scope} if scope else ALL)


async def right_token(lab: KeyedServer, scope: Scope | None) -> str:
    return lab.token(frozenset({scope} if scope else ALL))


Client = Callable[[KeyedServer, Scope | None], Awaitable[str | None]]
STRANGERS: tuple[Client, ...] = (
    no_key,
    wrong,
    unknown,
    malformed,
    expired,
    revoked,
    expired_token,
    forged_token,
    unsigned_token,
    token_for_another,
    token_of_another,
    token_without_tenant,
)
OTHERS: tuple[Client, ...] = (other_tenant, other_tenants_token)
POOR: tuple[Client, ...] = (too_little_scope, token_with_too_little_scope)
OPERATORS: tuple[Client, ...] = (other_tenants_operator,)
RIGHT: tuple[Client, ...] = (right, right_token)
CHANGING = (*RIGHT, *OPERATORS)  # whose requests change what they name
CLIENTS = (*STRANGERS, *OTHERS, *OPERATORS, *POOR, *RIGHT)


@pytest.fixture(scope="module")
def lab() -> Iterator[AccessLab]:
    with serving_issuer() as issuer:
        yield AccessLab(issuer)


async def key_for(
    client: Client,
    lab: KeyedServer,
    scope: Scope | None,
    also: frozenset[Scope] = frozenset(),
) -> str | None:
    """Return what a client shows; the right ones have every scope that the request needs."""
    if client not in RIGHT or not also:
        return await client(lab, scope)
    needed = also | ({scope} if scope else set())
    return lab.token(needed) if client is right_token else await lab.key(needed)


KEPT: dict[int, Things] = {}


async def kept(lab: AccessLab) -> Things:
    """Return things for requests that change none, made once for each lab."""
    if id(lab) not in KEPT:
        KEPT[id(lab)] = await lab.things()
    return KEPT[id(lab)]


def uses_up(place: str, client: Client) -> bool:
    """Tell if a request changes the thing that it names, so that it needs one of its own."""
    return client in CHANGING and not place.startswith(READS) and "_id}" in place


def test_every_route_and_frame_has_a_row(lab: AccessLab) -> None:
    contexts = list(iter_route_contexts(lab.app.routes))
    routes = [route for route in contexts if isinstance(route.original_route, APIRoute)]
    assert {route.path_format for route in contexts if route not in routes} == DESCRIPTIONS
    declared = {
        f"{method} {route.path_format}": scopes_of(route)
        for route in routes
        for method in route.methods or ()
    }
    assert declared == {place: row.scopes for place, row in ROUTES.items()}
    assert set(FRAME_ROWS) == set(FRAMES)


def test_a_server_that_takes_tokens_alone_makes_no_keys(lab: AccessLab) -> None:
    alone = AccessLab(lab.issuer, COMFYQ_AUTH="oidc")
    answer = alone.ask("POST", "/keys", alone.token(), json={"name": "a key"})
    assert (answer.status_code, answer.json()["code"]) == (409, "keys-not-accepted")
    assert alone.ask("GET", "/keys", alone.token()).json() == {"keys": []}


def test_all_else_that_is_served_without_a_key_is_the_same_for_everyone(lab: AccessLab) -> None:
    """A server of one machine has the page beside the API."""
    app = local_app(lab.services)
    contexts = list(iter_route_contexts(app.routes))
    others = (APIRoute, WebSocketRoute)  # which have rows in the tables of this file
    files = {
        each.path_format or "" for each in contexts if not isinstance(each.original_route, others)
    }
    pages = {path for path in files if path.startswith("/page/")}
    assert files == DESCRIPTIONS | {"/"} | pages
    assert len(pages) == 1
    client = AsgiClient(app, base_url="http://127.0.0.1:8000")
    for path in files:
        address = path.format(name="main.js" if path in pages else "docs.js")
        answers = [
            client.get(address, headers=headers).text
            for headers in ({}, {"X-API-Key": "let-me-in"})
        ]
        assert answers == [client.get(address).raise_for_status().text] * 2


@pytest.mark.parametrize("place", ROUTES)
async def test_routes(lab: AccessLab, place: str) -> None:
    row = ROUTES[place]
    with Cells() as cells:
        for client in CLIENTS:
            with cells.cell(client.__name__):
                key = await key_for(client, lab, row.scope, row.also)
                things = await (lab.things() if uses_up(place, client) else kept(lab))
                answer = asked(lab, place, things, key)
                await lab.undo(place)
                check(place, client, things, answer, given=key is not None)


def check(
    place: str, client: Client, things: Things, answer: httpx2.Response, *, given: bool
) -> None:
    """Hold an answer against the table."""
    row = ROUTES[place]
    if row.scope is None:
        assert answer.status_code == row.right, answer.text
    elif client in STRANGERS:
        _assert_unauthenticated(answer, given=given)
    elif client in POOR:
        _assert_missing(answer, row.scope)
    elif client in OPERATORS:
        assert answer.status_code == (row.operator or row.other or row.right), answer.text
    elif client in OTHERS and row.scope is Scope.OPERATOR:
        _assert_missing(answer, row.scope)
    elif client in OTHERS:
        assert answer.status_code == (row.other or row.right), answer.text
        is_problem = answer.headers.get("content-type") == PROBLEM_JSON and answer.content
        instance = answer.json()["instance"] if is_problem else "-"
        told = answer.text.replace(instance, "")
        named = {each for each in things.ids if each in told} - _given(place, things)
        assert not named, "it tells of another tenant's things"
    else:
        assert client in RIGHT
        assert answer.status_code == row.right, answer.text
        if Scope.READ not in row.scopes:
            assert not shows_outputs(answer), "outputs are for who may read"


def shows_outputs(answer: httpx2.Response) -> bool:
    """Tell if an answer leads to what a job has made, or has it itself."""
    leads = re.search(r"/generate/[\w-]+/outputs[/?]", answer.text)
    return leads is not None or b64encode(CONTENT).decode() in answer.text


TRACEBACK = 'Traceback (most recent call last):\n  File "/srv/gpu/a.py", line 1, in run\n    f()'
SHOWING = (
    "POST /generate",
    "POST /generate/batch",
    "POST /workflows/{name}/generate",
    "DELETE /generate/{job_id}",
    f"POST {JOBS}/{{job_id}}/cancel",
)


@pytest.mark.parametrize("place", SHOWING)
async def test_what_was_made_is_told_to_who_may_read_as_well(lab: AccessLab, place: str) -> None:
    """So that the table sees it where it is told to others: results that are used again are
    neither told nor hinted at, and an end without its outputs."""
    scopes, things = ROUTES[place].scopes, await lab.things()
    blind = await lab.key(scopes)
    seen = asked(lab, place, things, await lab.key(scopes | {Scope.READ}))
    assert seen.is_success, seen.text
    assert shows_outputs(seen)
    unseen = asked(lab, place, things, blind)
    assert unseen.status_code == ROUTES[place].right
    assert not shows_outputs(unseen)
    if Scope.SUBMIT in scopes:
        told = unseen.json()
        [job] = [item["job"] for item in told.get("items", [{"job": told}])]
        assert (job["status"], job["reused_from"], job["seq"]) == ("queued", None, 1)
        assert told.get("counts", {"queued": 1})["queued"] == 1


async def test_nor_is_it_told_to_receivers_that_are_named_without_that_scope(
    lab: AccessLab,
) -> None:
    """Whoever may only submit would read by its webhooks; whoever sends by the queue is not a
    client that scopes hold for."""
    await lab.things()
    lab.services.webhook_post = receiver = ScriptedReceiver(Death(), ())
    for made in ("webhook_courier", "webhook_sender", "due_webhooks"):  # over the real one
        vars(lab.services).pop(made, None)
    told = {}
    for scopes in (frozenset({Scope.SUBMIT}), frozenset({Scope.SUBMIT, Scope.READ})):
        asked = AGAIN | {"webhook_url": f"{RECEIVER}{len(scopes)}"}
        answer = lab.ask("POST", "/generate", await lab.key(scopes), json=asked)
        assert answer.is_success, answer.text
        told[answer.json()["id"]] = len(scopes) == 2
    await lab.services.due_webhooks.send_round()
    jobs = [json.loads(each.body)["data"] for each in receiver.posts]
    ours = [job for job in jobs if job["id"] in told]
    assert [job["status"] for job in ours] == ["completed"] * 2
    for job in ours:
        shown = [bool(job[what]) for what in ("outputs", "image_url", "reused_from")]
        assert shown == [told[job["id"]]] * 3
    assert (await lab.services.authenticator.of_queue("submissions")).may_show


async def test_machines_and_their_paths_are_told_to_operators_alone(lab: AccessLab) -> None:
    keys = [await lab.key(ALL - {Scope.OPERATOR}), await lab.key(ALL | {Scope.OPERATOR})]
    sent = [lab.ask("POST", "/generate", keys[0], json=FOX).json()["id"] for _ in range(3)]
    for job_id, worker in zip(sent, ("gpu-box-1", "gpu-box-1", "gpu-box-2"), strict=True):
        claim = partial(jobs.claim, worker=WorkerId(worker), ttl=timedelta(hours=1))
        await lab.change(job_id, claim)
        await lab.change(job_id, partial(jobs.start, token=1))
    error = JobError("node-error", "no /srv/gpu/a.pt", details=(TRACEBACK,))
    for job_id in sent[:2]:
        fail = partial(jobs.fail, token=1, error=error, retry_in=None)
        await lab.change(job_id, fail)

    def stories(key: str) -> list[Any]:
        return [lab.ask("GET", f"/generate/{each}/story", key).json() for each in sent]

    shown, whole = [stories(key) for key in keys]
    assert "gpu-box" not in json.dumps(shown)
    assert "/srv/gpu" not in json.dumps(shown)
    assert "Traceback" not in json.dumps(shown)
    one, again, _ = [[each["worker"] for each in story["attempts"]] for story in shown]
    assert one == again, "it is the same worker, whatever it is called"
    assert shown[2]["running_attempt"]["worker"] not in one
    assert [each["worker"] for each in whole[0]["attempts"]] == ["gpu-box-1"]
    assert whole[2]["running_attempt"]["worker"] == "gpu-box-2"
    assert "/srv/gpu" in whole[0]["error"]
    assert "Traceback" in whole[0]["error"]


@pytest.mark.parametrize("place", [place for place, row in ROUTES.items() if row.other])
async def test_what_is_another_tenants_is_answered_as_what_is_not_there(
    lab: AccessLab, place: str
) -> None:
    """Nobody can tell by an answer that there is such a thing."""
    key, theirs = await lab.key(tenant=OTHER), await kept(lab)
    absent = {name: getattr(theirs, name)[:-8] + "00000000" for name in (*UUIDS, "key_id")}
    nobodys = replace(theirs, **absent, letter_id="letter-0", tenant_id="nobody")
    there, missing = (asked(lab, place, each, key) for each in (theirs, nobodys))
    assert there.status_code == missing.status_code == 404
    assert told_by(there)._replace(detail="") == told_by(missing)._replace(detail="")
    assert _without_ids(there, theirs) == _without_ids(missing, nobodys)


def _without_ids(answer: httpx2.Response, things: Things) -> str:
    text = told_by(answer).detail
    for each in things.ids:
        text = text.replace(each, "ID")
    return text


def _given(place: str, things: Things) -> set[str]:
    """Return the ids that the request itself names."""
    return {value for name, value in _values(things).items() if f"{{{name}}}" in place}


def _values(things: Things) -> dict[str, str]:
    names = (*UUIDS, "letter_id", "key_id", "tenant_id")
    queries = ("output_query", "upload_query")
    values = {name: str(getattr(things, name)) for name in (*names, *queries)}
    delivery_id = f"msg_{things.job_id}_1"  # of its acceptance
    others = {"name": "sd15", "index": "0", "digest": "none", "endpoint": "mine"}
    others |= {"base": "", "prompt_id": values["job_id"], "folder": "nowhere"}
    return values | others | {"delivery_id": delivery_id}


def asked(
    lab: KeyedServer, place: str, things: Things, key: str | None, *, ticket: str | None = None
) -> httpx2.Response:
    row = ROUTES[place]
    method, path = place.split()
    query = "&".join(filter(None, [row.query, ticket and f"ticket={ticket}"]))
    url = f"{path}?{query}" if query else path
    return lab.ask(method, url.format(**_values(things)), key, **row.request)


def _assert_missing(answer: httpx2.Response, scope: Scope) -> None:
    told = told_by(answer)
    assert answer.status_code == 403
    if told.is_whole:
        assert told.code == MISSING_SCOPE[contract_of(answer)]
        assert f"`{scope}`" in told.detail


def _assert_unauthenticated(answer: httpx2.Response, *, given: bool) -> None:
    told = told_by(answer)
    assert answer.status_code == 401
    if told.is_whole:
        assert told.code == UNAUTHENTICATED[contract_of(answer)]
        why = f', error="invalid_token", error_description="{told.detail}"'
        assert answer.headers["www-authenticate"] == f'Bearer realm="comfyq"{why if given else ""}'


# --- tickets

STREAMS = ("GET /generate/{job_id}/events", "GET /generate/batch/{batch_id}/events")


async def test_tickets(lab: AccessLab) -> None:
    check_tickets(lab, await kept(lab), await lab.key(), await lab.key(tenant=OTHER))


def check_tickets(lab: KeyedServer, things: Things, key: str, others: str) -> None:
    """A ticket opens one stream of its own tenant, and no other route."""

    def ticket(key: str, job_id: str | None = None) -> str:
        made = lab.ask("POST", "/ws-ticket", key, json={"job_id": job_id})
        return str(made.json()["ticket"])

    unused = ticket(key)
    with Cells() as cells:
        for place, row in ROUTES.items():
            if row.scope is not None and place not in STREAMS:
                with cells.cell(place):
                    answer = asked(lab, place, things, None, ticket=unused)
                    assert answer.status_code in (401, 422), "let in, or no such parameter"
        for place in STREAMS:
            with cells.cell(place):
                text = ticket(key)
                statuses = [asked(lab, place, things, None, ticket=text).status_code for _ in "12"]
                assert statuses == [NOT_SERVED, 401], "it is used up"
                bound = {
                    "another tenant's": ticket(others),
                    "for another job": ticket(key, "job-of-nobody"),
                    "for the job": ticket(key, things.job_id),
                }
                answers = {
                    whose: asked(lab, place, things, None, ticket=text).status_code
                    for whose, text in bound.items()
                }
                of_job = NOT_SERVED if place == STREAMS[0] else NOT_FOUND
                assert list(answers.values()) == [NOT_FOUND, NOT_FOUND, of_job], answers
                forged = asked(lab, place, things, None, ticket="0" * 64)
                _assert_unauthenticated(forged, given=True)
        with cells.cell("no route has used it up"):
            assert asked(lab, STREAMS[0], things, None, ticket=unused).status_code == NOT_SERVED


# --- requests that need a scope beside their route's

GRAPH = {"9": {"class_type": "SaveImage", "inputs": {}}}
REQUESTS: Mapping[str, tuple[Scope, Mapping[str, Any]]] = {
    "a graph": (Scope.GRAPH, {"graph": GRAPH}),
    "ComfyUI's own body": (Scope.GRAPH, {"prompt": GRAPH}),
    "a job that waits": (Scope.WAIT, {**FOX, "wait": True}),
}
ALSO = frozenset({Scope.SUBMIT})  # what these need as well
SUBMITS: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "/generate": lambda request: request,
    "/generate?dry_run=true": lambda request: request,
    "/generate/batch": lambda request: {"requests": [request]},
    "/generate/batch#product": lambda request: {
        "request": request,
        "product": {"metadata": [True]},
    },
}


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("path", SUBMITS)
async def test_requests(lab: AccessLab, path: str, request_: str) -> None:
    with Cells() as cells:
        for client in CLIENTS:
            with cells.cell(client.__name__):
                key = await key_for(client, lab, REQUESTS[request_][0], ALSO)
                check_request(lab, path, request_, client, key)


def check_request(
    lab: KeyedServer, path: str, request_: str, client: Client, key: str | None
) -> None:
    """Send a request, and hold its answer against what it needs."""
    scope, body = REQUESTS[request_]
    answer = lab.ask("POST", path.split("#")[0], key, json=SUBMITS[path](body))
    if client in STRANGERS:
        _assert_unauthenticated(answer, given=key is not None)
    elif client in POOR:
        assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
        assert f"`{scope}`" in answer.json()["detail"]
    else:
        assert answer.status_code in (200, 202), answer.text


async def test_a_graph_is_not_tried_again_without_its_scope(lab: AccessLab) -> None:
    owner = await lab.key()
    sent = lab.ask("POST", "/generate", owner, json={"graph": GRAPH}).json()
    lab.ask("DELETE", f"/generate/{sent['id']}", owner)
    poor = await lab.key(ALL - {Scope.GRAPH})
    refused = lab.ask("POST", f"/generate/{sent['id']}/retry", poor)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing-scope")
    assert lab.ask("POST", f"/generate/{sent['id']}/retry", owner).status_code == 202


# --- sockets


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame, and the codes of its answers: of errors, or the status of a progress frame."""

    scope: Scope | None
    right: str
    other: str
    stranger: str  # of a socket that was never let in, or was ended since
    body: str


FRAME_ROWS = {
    "subscribe": Frame(
        Scope.READ,
        right="completed",
        other="job-not-found",
        stranger="connection-not-found",
        body='{{"action": "subscribe", "job_id": "{job_id}"}}',
    ),
    "unsubscribe": Frame(
        Scope.READ,
        right="unsubscribed",
        other="unsubscribed",  # it followed nothing of another tenant's
        stranger="connection-not-found",
        body='{{"action": "unsubscribe", "job_id": "{job_id}"}}',
    ),
    "$default": Frame(
        None, right="pong", other="pong", stranger="pong", body='{{"action": "ping"}}'
    ),
}


async def answered(lab: KeyedServer, socket: str, row: Frame, route: str, job_id: str) -> str:
    """Send a frame; return the code, type or status of what is posted to the socket."""
    await lab.sockets.handle(event(route, socket, body=row.body.format(job_id=job_id)))
    frame = lab.notifier.frames(socket)[-1]
    return str(frame.get("code") or frame.get("type") or frame["status"])


@pytest.mark.parametrize("job", [False, True], ids=["plain", "job"])
async def test_handshakes(lab: AccessLab, job: bool) -> None:
    things = await kept(lab)
    with Cells() as cells:
        for client in CLIENTS:
            with cells.cell(client.__name__):
                await check_handshake(lab, things, client, job=job)


async def check_handshake(lab: KeyedServer, things: Things, client: Client, *, job: bool) -> None:
    """Open a socket, for a job or without one, and hold its answer against the table."""
    query = {"job_id": things.job_id} if job else {}
    key = await client(lab, CONNECT_SCOPE)
    status = await connected(lab.sockets, f"{client.__name__}-{job}", key, query)
    _check_handshake(client, status, job=job)


def _check_handshake(client: Client, status: tuple[int, str], *, job: bool) -> None:
    if client in STRANGERS:
        assert status == (401, "unauthenticated")
    elif client in POOR:
        assert status == (403, "missing-scope")
    elif client in (*OTHERS, *OPERATORS) and job:
        assert status == (404, "job-not-found")
    else:
        assert status == (200, "")


@pytest.mark.parametrize("route", FRAME_ROWS)
async def test_frames(lab: AccessLab, route: str) -> None:
    things = await kept(lab)
    with Cells() as cells:
        for client in CLIENTS:
            with cells.cell(client.__name__):
                await check_frame(lab, things, client, route)


async def check_frame(lab: KeyedServer, things: Things, client: Client, route: str) -> None:
    """Send a frame, and hold its answer against the table."""
    row, socket = FRAME_ROWS[route], f"{route}-{client.__name__}"
    await _let_in(lab, socket, client, row.scope)
    assert await answered(lab, socket, row, route, things.job_id) == _expected(row, client)


async def _let_in(lab: KeyedServer, socket: str, client: Client, scope: Scope | None) -> None:
    """Open a socket as far as it is let in; a poor one was when it still had the scope."""
    if client not in POOR:
        await connected(lab.sockets, socket, await client(lab, scope))
        return
    poor = Caller(DEFAULT_TENANT, ALL - {scope} if scope else ALL)
    connection = Connection(socket, ENDPOINT)
    await lab.services.followers.connect(connection, poor, base_url="", now_s=2**31)


def _expected(row: Frame, client: Client) -> str:
    if client in STRANGERS:
        return row.stranger
    if client in (*OTHERS, *OPERATORS):
        return row.other
    if client in POOR and row.scope is not None:
        return "missing-scope"
    return row.right


@pytest.mark.parametrize(
    ("given", "by"),
    [
        ({"scopes": ["metrics"]}, {Scope.ADMIN, Scope.METRICS}),
        ({"scopes": ["metrics"]}, {Scope.ADMIN, Scope.OPERATOR}),
        ({"scopes": ["operator"]}, {Scope.ADMIN, Scope.OPERATOR}),
        ({"scopes": ["submit", "graph"]}, {Scope.ADMIN, Scope.GRAPH}),
        ({"scopes": ["wait"]}, {Scope.ADMIN, Scope.WAIT}),
        ({"scopes": ["graph", "wait"]}, {Scope.ADMIN, Scope.OPERATOR}),
        ({"tenant": OTHER}, {Scope.ADMIN, Scope.OPERATOR}),
    ],
)
async def test_an_administrator_gives_away_nothing_beyond_its_tenant(
    lab: AccessLab, given: Mapping[str, Any], by: set[Scope]
) -> None:
    asked = {"json": {"name": "mine", **given}}
    lacking = ALL - {Scope.METRICS, Scope.GRAPH, Scope.WAIT}
    refused = lab.ask("POST", "/keys", await lab.key(lacking), **asked)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing-scope")
    made = lab.ask("POST", "/keys", await lab.key(frozenset(by)), **asked)
    assert made.status_code == 201
    assert made.json()["tenant"] == given.get("tenant", DEFAULT_TENANT)


async def test_a_key_that_an_administrator_makes_has_what_that_may_give(lab: AccessLab) -> None:
    async def made(*scopes: Scope, rate: int | None = None, **body: Any) -> httpx2.Response:
        _, key = await lab.keys.create(
            DEFAULT_TENANT,
            "an administrator",
            frozenset(scopes),
            lives=None,
            requests_per_minute=rate,
        )
        return lab.ask("POST", "/keys", key, json={"name": "mine", **body})

    free = ["cancel", "read", "submit"]
    assert (await made(Scope.ADMIN)).json()["scopes"] == free
    assert (await made(Scope.ADMIN, scopes=["read"])).json()["scopes"] == ["read"]
    assert (await made(Scope.ADMIN, Scope.GRAPH)).json()["scopes"] == sorted([*free, "graph"])
    every = await made(Scope.ADMIN, Scope.OPERATOR)
    assert every.json()["scopes"] == sorted([*free, "graph", "wait"])
    for rate, asked, given in ((None, None, None), (None, 9, 9), (5, None, 5), (5, 4, 4)):
        body = {} if asked is None else {"requests_per_minute": asked}
        answer = await made(Scope.ADMIN, rate=rate, **body)
        assert answer.json()["requests_per_minute"] == given
    refused = await made(Scope.ADMIN, rate=5, requests_per_minute=6)
    assert refused.status_code == 422
    assert "may send 5 a minute" in refused.json()["detail"]
    operators = await made(Scope.ADMIN, Scope.OPERATOR, rate=5, requests_per_minute=6)
    assert operators.json()["requests_per_minute"] == 6


async def test_a_key_that_expires_makes_none_that_outlives_it() -> None:
    lab = AccessLab()
    key, others = await lab.key(ALL, lives=timedelta(minutes=10)), await lab.key(ALL)

    def made(by: str, **asked: Any) -> Any:
        return lab.ask("POST", "/keys", by, json={"name": "another", **asked})

    refused = made(key, expires_in_s=601)
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["field"] == "expires_in_s"
    assert "your own key expires in 600 s" in error["message"]
    assert made(key, expires_in_s=600).status_code == 201
    own = next(each for each in lab.ask("GET", "/keys", key).json()["keys"] if each["expires_at"])
    assert made(key).json()["expires_at"] == own["expires_at"]
    assert made(others).json()["expires_at"] is None
    operators = await lab.key(ALL | {Scope.OPERATOR}, lives=timedelta(minutes=10))
    assert made(operators, expires_in_s=601).status_code == 422


async def test_an_administrator_lifts_no_rate_that_the_operator_has_set_for_all_keys() -> None:
    lab = AccessLab(COMFYQ_KEY_REQUESTS_PER_MINUTE=5)
    key = await lab.key(frozenset({Scope.ADMIN}))
    refused = lab.ask("POST", "/keys", key, json={"name": "mine", "requests_per_minute": 6})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (
        422,
        "requests_per_minute",
    )
    for body, rate in (({}, None), ({"requests_per_minute": 5}, 5)):
        made = lab.ask("POST", "/keys", key, json={"name": "mine", **body})
        assert made.json()["requests_per_minute"] == rate
    operators = await lab.key(frozenset({Scope.ADMIN, Scope.OPERATOR}))
    asked = {"name": "mine", "requests_per_minute": 6}
    assert lab.ask("POST", "/keys", operators, json=asked).status_code == 201


@pytest.mark.parametrize("path", ["/keys", "/audit", "/dead"])
async def test_an_operator_names_the_tenant(lab: AccessLab, path: str) -> None:
    """Whoever is none is refused alike, whether there is such a tenant or not."""
    both = frozenset({Scope.ADMIN, Scope.OPERATOR})
    mine, theirs = await lab.key(both), await lab.key(both, tenant=OTHER)
    there = lab.ask("GET", path, mine)
    assert there.status_code == 200
    assert there.json() != lab.ask("GET", path, theirs).json()
    asked = f"{path}?tenant={DEFAULT_TENANT}"
    assert lab.ask("GET", asked, theirs).json() == there.json()
    administrators = await lab.key(frozenset({Scope.ADMIN}), tenant=OTHER)
    for tenant in (DEFAULT_TENANT, "nobody"):
        refused = lab.ask("GET", f"{path}?tenant={tenant}", administrators)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing-scope")
