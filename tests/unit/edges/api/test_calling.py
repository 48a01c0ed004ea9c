"""Routes answer as FastAPI's own do, which finds out for each request what their functions take."""

from typing import Annotated, Any

import httpx2
import pytest
from fastapi import Body, Depends, FastAPI, Header, Query, Request, Response
from fastapi.routing import APIRoute, APIRouter
from pydantic import BaseModel, Field

from comfyq.edges.api.router import KnownQueryRoute
from tests.asgi_client import AsgiClient

Answer = tuple[int, Any, dict[str, str]]

CALLS = list[str]()


class View(BaseModel):
    told: dict[str, Any]
    same: bool = True
    none: None = None
    short: str = Field(default="s", alias="aliased")


class Asked(BaseModel):
    name: str
    count: int = Field(default=1, ge=1)


async def shared(request: Request) -> str:
    CALLS.append("shared")
    return request.method


async def counted(
    way: Annotated[str, Depends(shared)],
    at_most: Annotated[int, Query(ge=1, alias="most")] = 20,
    labels: Annotated[list[str] | None, Query(max_length=2)] = None,
) -> dict[str, Any]:
    CALLS.append("counted")
    return {"way": way, "most": at_most, "labels": labels}


async def show(
    thing: str,
    way: Annotated[str, Depends(shared)],
    found: Annotated[dict[str, Any], Depends(counted)],
    response: Response,
    x_needed: Annotated[int, Header()],
    x_free: Annotated[str | None, Header(max_length=3)] = None,
    number: float | None = None,
) -> View:
    response.headers["X-Thing"] = thing
    if thing == "other":
        response.status_code = 203
    return View(told={"way": way, **found, "needed": x_needed, "free": x_free, "number": number})


async def take(asked: Asked, response: Response) -> View:
    response.headers["Location"] = f"/{asked.name}"
    return View(told=asked.model_dump())


async def take_parts(first: Annotated[Asked, Body()], second: Annotated[int, Body()]) -> View:
    return View(told={"first": first.name, "second": second})


async def nothing() -> None:
    return None


async def raw(thing: str) -> Response:
    return Response(thing, 202, media_type="text/plain")


def app_of(route_class: type[APIRoute]) -> FastAPI:
    router = APIRouter(route_class=route_class)
    router.get("/things/{thing}")(show)
    router.post("/things", status_code=201)(take)
    router.post("/sparse", response_model_exclude_none=True)(take)
    router.post("/parts")(take_parts)
    router.delete("/things", status_code=204)(nothing)
    router.get("/raw/{thing}")(raw)
    return FastAPI(routes=router.routes)


@pytest.fixture(scope="module")
def apps() -> list[AsgiClient]:
    classes = (APIRoute, KnownQueryRoute)
    return [AsgiClient(app_of(each), base_url="http://lab") for each in classes]


NEEDED = {"headers": {"X-Needed": "7"}}
JSON = {"Content-Type": "application/json"}
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/things/a", NEEDED),
    ("GET", "/things/other", NEEDED),
    ("GET", "/things/a", {}),
    ("GET", "/things/a?most=0&number=x", {"headers": {"X-Free": "long"}}),
    ("GET", "/things/a?most=3&labels=a&labels=b&number=1.5", NEEDED),
    ("GET", "/things/a?labels=a&labels=b&labels=c", NEEDED),
    ("GET", "/things/a?most=&number=", NEEDED),
    ("GET", "/things/a%2Fb%20c", NEEDED),
    ("GET", "/raw/x", {}),
    ("PUT", "/raw/x", {}),
    ("GET", "/nowhere", {}),
    ("DELETE", "/things", {}),
    ("POST", "/things", {"json": {"name": "n", "count": 2}}),
    ("POST", "/sparse", {"json": {"name": "n"}}),
    ("POST", "/things", {"json": {"count": 0}}),
    ("POST", "/things", {"json": [1]}),
    ("POST", "/things", {"json": None}),
    ("POST", "/things", {}),
    ("POST", "/things", {"content": b'{"name": ', "headers": JSON}),
    ("POST", "/things", {"content": b'{"name": "\xff"}', "headers": JSON}),
    ("POST", "/things", {"content": b"[" * 100_000, "headers": JSON}),
    ("POST", "/things", {"content": b'{"name": "n"}'}),
    ("POST", "/things", {"content": b'{"name": "n"}', "headers": {"Content-Type": "text/plain"}}),
    (
        "POST",
        "/things",
        {"content": b'{"name": "n"}', "headers": {"Content-Type": "application/x+json; a=b"}},
    ),
    ("POST", "/parts", {"json": {"first": {"name": "n"}, "second": 2}}),
    ("POST", "/parts", {"json": {"first": {"count": 0}}}),
]


@pytest.mark.parametrize(("method", "path", "options"), REQUESTS)
def test_every_answer_is_the_one_of_fastapi(
    apps: list[AsgiClient], method: str, path: str, options: dict[str, Any]
) -> None:
    theirs, ours = (told(app.request(method, path, **options)) for app in apps)
    assert ours == theirs


def told(answer: httpx2.Response) -> Answer:
    is_json = answer.content and "json" in answer.headers.get("content-type", "")
    body = answer.json() if is_json else answer.content
    return answer.status_code, body, dict(answer.headers)


def test_what_several_depend_on_is_called_once_and_nothing_with_what_is_not_valid(
    apps: list[AsgiClient],
) -> None:
    CALLS.clear()
    assert apps[1].get("/things/a", **NEEDED).status_code == 200
    assert CALLS == ["shared", "counted"]
    CALLS.clear()
    assert apps[1].get("/things/a?most=0", **NEEDED).status_code == 422
    assert CALLS == ["shared"]


def test_a_route_of_what_would_be_sent_to_a_thread_is_refused() -> None:
    def blocking() -> None: ...

    async def route(_: Annotated[None, Depends(blocking)]) -> None: ...

    router = APIRouter(route_class=KnownQueryRoute)
    for each in (blocking, route):
        with pytest.raises(TypeError, match="coroutine"):
            router.get("/")(each)
