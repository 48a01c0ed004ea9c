"""Every route says who may call it, and nobody else can."""

import pytest
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.types import Message

from comfyq.domain.caller import Caller, Scope
from comfyq.domain.errors import TableUnavailable
from comfyq.edges.api.authentication import is_open, scopes_of
from comfyq.edges.api.calling.json_body import JSON
from comfyq.ports.access.authenticator import Credentials
from tests.api_lab import ApiLab
from tests.fake_authenticator import FakeAuthenticator, with_scopes
from tests.told_errors import MISSING_SCOPE, contract_of, told_by

OPEN = {
    "/assets/uploads/{upload_id}/content",
    "/health",
    "/health/live",
    "/health/ready",
    "/generate/{job_id}/outputs/{index}",
}  # probes, and what a link is signed for
ID = "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"


def operations() -> list[RouteContext]:
    routes = iter_route_contexts(ApiLab().app.routes)
    return [route for route in routes if isinstance(route.original_route, APIRoute)]


def place(route: RouteContext) -> str:
    return f"{'|'.join(route.methods or ())} {route.path_format}"


SCOPED = [route for route in operations() if route.path_format not in OPEN]


def address(route: RouteContext) -> str:
    ids = dict.fromkeys(("job_id", "batch_id", "asset_id", "upload_id", "letter_id"), ID)
    others = {"key_id": ID[:8], "tenant_id": "t", "name": "sd15", "delivery_id": "msg_1"}
    facades = {"digest": "none", "endpoint": "any"}
    return (route.path_format or "").format(**ids, **others, **facades)


def lab_for(authenticator: FakeAuthenticator) -> ApiLab:
    return ApiLab(authenticator=authenticator)


@pytest.mark.parametrize("route", operations(), ids=place)
def test_every_route_declares_its_scope_or_that_it_needs_none(route: RouteContext) -> None:
    assert bool(scopes_of(route)) == (route.path_format not in OPEN)
    assert is_open(route) == (route.path_format in OPEN)


@pytest.mark.parametrize(
    ("route", "needed"),
    [(route, scope) for route in SCOPED for scope in sorted(scopes_of(route))],
    ids=lambda each: each if isinstance(each, str) else place(each),
)
def test_who_lacks_a_scope_is_refused_whatever_else_it_may(
    route: RouteContext, needed: Scope
) -> None:
    lab = lab_for(with_scopes(*{*Scope} - {needed}))
    (method,) = route.methods or {""}
    answer = lab.client.request(method, address(route), headers={"Content-Type": JSON})
    told = told_by(answer)
    assert answer.status_code == 403, answer.text
    if told.is_whole:
        assert told.code == MISSING_SCOPE[contract_of(answer)]
        assert f"`{needed}`" in told.detail


@pytest.mark.anyio
async def test_no_body_is_read_of_who_may_not_send_it() -> None:
    """It may have 20 MB of JSON, which take long to parse."""
    app = ApiLab(authenticator=with_scopes(), COMFYQ_FACADES="openai,runpod").app
    routes = [each for each in iter_route_contexts(app.routes) if scopes_of(each)]
    assert {"/generate", "/v2/{endpoint}/run"} <= {route.path_format for route in routes}

    async def receive() -> Message:
        raise AssertionError("its body is read")

    for route in routes:
        statuses = list[int]()

        async def send(message: Message, statuses: list[int] = statuses) -> None:
            statuses.append(message.get("status", 0))

        [method] = route.methods or [""]
        scope = {
            "type": "http",
            "method": method,
            "path": address(route),
            "query_string": b"",
            "headers": [(b"content-type", JSON.encode()), (b"content-length", b"1000")],
            "scheme": "http",
            "server": ("lab", 80),
        }
        await app(scope, receive, send)
        assert statuses[0] == 403, place(route)


def test_one_scope_is_enough_for_what_needs_it() -> None:
    reader = lab_for(with_scopes(Scope.READ)).client
    assert reader.get("/generate").status_code == 200
    assert reader.get("/workflows").status_code == 200
    submitter = lab_for(with_scopes(Scope.SUBMIT)).client
    assert submitter.post("/generate", json={"prompt": "a fox"}).status_code == 202
    administrator = lab_for(with_scopes(Scope.ADMIN)).client
    assert administrator.get("/audit").status_code == 200
    nobody = lab_for(with_scopes()).client
    assert nobody.get("/health").status_code == 200


def test_the_authenticator_is_shown_headers_and_query() -> None:
    asked = with_scopes(Scope.READ)
    lab_for(asked).client.get("/generate?limit=5", headers={"X-Api-Key": "k"})
    [credentials] = asked.credentials
    assert (credentials.headers["x-api-key"], credentials.query["limit"]) == ("k", "5")


def test_an_authenticator_that_does_not_answer_is_a_problem() -> None:
    class Away(FakeAuthenticator):
        async def of_client(self, credentials: Credentials) -> Caller:
            raise TableUnavailable("the table does not answer")

    answer = lab_for(Away(with_scopes().caller)).client.get("/generate")
    assert (answer.status_code, answer.json()["code"]) == (503, "table-unavailable")


def test_what_a_route_needs_is_documented() -> None:
    document = ApiLab().client.get("/openapi.json").json()
    redrive = document["paths"]["/dead/{letter_id}/redrive"]["post"]
    assert "`operator`" in redrive["responses"]["403"]["description"]
    assert "403" not in document["paths"]["/health"]["get"]["responses"]
