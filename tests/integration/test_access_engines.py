"""The table of who may do what, by the Lambda functions of the API and of its sockets, on SQLite
and on the emulator."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.lambdas import websocket
from comfyq.bootstrap.lambdas.api import api_function
from comfyq.bootstrap.lambdas.function import Function
from comfyq.bootstrap.services import Services
from comfyq.config import Backend, Settings, read_settings
from comfyq.local.emulator import Emulator
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.access_lab import CONTENT, FACADES, OTHER, KeyedServer, Things
from tests.api_lab import output
from tests.cells import Cells
from tests.issuer import Issuer, serving_issuer
from tests.paths import DATA
from tests.unit.edges.test_access import (
    ALSO,
    CLIENTS,
    FRAME_ROWS,
    REQUESTS,
    RIGHT,
    ROUTES,
    SUBMITS,
    Client,
    asked,
    check,
    check_frame,
    check_handshake,
    check_request,
    check_tickets,
    key_for,
    uses_up,
)

LINKED = ("GET", "HEAD")  # of an output: where storage has links of its own, one is answered


class SocketFunction:
    """The WebSocket API's function in a thread of its own; what it posts is kept."""

    def __init__(self, settings: Settings) -> None:
        self.notifier = MemoryNotifier()
        self.ports = replace(open_ports(settings), notifier=self.notifier)
        self._thread = ThreadPoolExecutor(1)
        self._function = self._thread.submit(self._made, settings).result()

    def _made(self, settings: Settings) -> Function:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(websocket, "ports_of", lambda _: self.ports)
            return websocket.websocket_function(settings)

    async def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return await asyncio.wrap_future(self._thread.submit(self._function, event, None))

    def close(self) -> None:
        self._thread.submit(lambda: asyncio.get_event_loop().close()).result()
        self._thread.shutdown()
        self.ports.close()


class FunctionServer(KeyedServer):
    """The API's function in a thread of its own, as its event loop demands."""

    def __init__(self, settings: Settings, folder: Path, issuer: Issuer) -> None:
        super().__init__()
        self.settings = settings
        self.issuer = issuer
        self._folder = folder
        self.services = Services(settings, open_ports(settings))
        self.records = self.services.records
        self._thread = ThreadPoolExecutor(1, initializer=_make_loop)
        self._function = self._thread.submit(api_function, settings).result()

    @cached_property
    def sockets(self) -> SocketFunction:
        return SocketFunction(self.settings)

    @property
    def notifier(self) -> MemoryNotifier:
        return self.sockets.notifier

    def close(self) -> None:
        if "sockets" in self.__dict__:  # some test has sent it events
            self.sockets.close()
        self._thread.submit(lambda: asyncio.get_event_loop().close()).result()
        self._thread.shutdown()
        self.services.ports.close()

    def ask(self, method: str, path: str, key: str | None, **request: Any) -> httpx2.Response:
        event = _event(method, path, {} if key is None else _shown(key), request)
        answer = self._thread.submit(self._function, event, None).result()
        body = answer.get("body") or ""
        content = b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        return httpx2.Response(
            answer["statusCode"],
            headers=answer["headers"],
            content=content,
            request=httpx2.Request(method, f"http://function{path}"),
        )

    async def store_output(self) -> None:
        path = self._folder / "picture"
        path.write_bytes(CONTENT)
        await self.services.ports.assets.put(output().key, path, content_type="image/png")


def _shown(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if "." in key else {"x-api-key": key}


def _make_loop() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())


def _event(
    method: str, path: str, headers: Mapping[str, str], request: Mapping[str, Any]
) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((DATA / "apigw/show.json").read_text())
    at = urlsplit(path)
    event["rawPath"] = event["requestContext"]["http"]["path"] = at.path
    event["rawQueryString"] = at.query
    event["requestContext"]["http"]["method"] = method
    event["headers"] |= headers
    if "json" in request:
        event["headers"]["content-type"] = "application/json"
        event["body"] = json.dumps(request["json"])
    elif "content" in request:
        event["body"] = b64encode(request["content"]).decode()
        event["isBase64Encoded"] = True
    return event


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module", params=["embedded", "emulator"])
def settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, issuer: Issuer
) -> Settings:
    own = {
        "COMFYQ_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "COMFYQ_AUTH": "keys,oidc",
        "COMFYQ_FACADES": FACADES,
    }
    variables = own | issuer.settings
    if request.param == Backend.EMBEDDED:
        return read_settings(variables)
    emulator: Emulator = request.getfixturevalue("emulator")
    made: Provisioned = request.getfixturevalue("module_resources")
    return read_settings(
        variables
        | {
            "COMFYQ_BACKEND": "emulator",
            "AWS_ENDPOINT_URL": emulator.url,
            "COMFYQ_TABLE": made.table,
            "COMFYQ_QUEUE_URL": made.queue_url,
            "COMFYQ_BUCKET": made.bucket,
        }
    )


@pytest.fixture(scope="module")
def run() -> Iterator[Any]:
    """Run coroutines on one event loop, in a thread."""
    with start_blocking_portal() as portal:
        yield portal.call


@pytest.fixture(scope="module")
def server(
    settings: Settings, run: Any, tmp_path_factory: pytest.TempPathFactory, issuer: Issuer
) -> Iterator[FunctionServer]:
    made = FunctionServer(settings, tmp_path_factory.mktemp("files"), issuer)
    yield made
    made.close()


@pytest.fixture(scope="module")
def kept(server: FunctionServer, run: Any) -> Things:
    """Return things for requests that change none."""
    things: Things = run(server.things)
    return things


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__)
def test_routes(server: FunctionServer, kept: Things, client: Client, run: Any) -> None:
    key_of = cache(partial(run, key_for, client, server))  # a key takes longer than most answers
    with Cells() as cells:
        for place, row in ROUTES.items():
            with cells.cell(place):
                key = key_of(row.scope, row.also)
                things = run(server.things) if uses_up(place, client) else kept
                answer = asked(server, place, things, key)
                run(server.undo, place)
                if answer.is_redirect and place.split()[0] in LINKED:
                    may = row.scope is None or client in RIGHT
                    assert may, "a signed link or a key that may read it leads to storage"
                else:
                    check(place, client, things, answer, given=key is not None)


def test_tickets(server: FunctionServer, kept: Things, run: Any) -> None:
    key, others = run(server.key), run(partial(server.key, tenant=OTHER))
    check_tickets(server, kept, key, others)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__)
def test_sockets(server: FunctionServer, kept: Things, client: Client, run: Any) -> None:
    with Cells() as cells:
        for job in (False, True):
            with cells.cell(f"a handshake, for a job: {job}"):
                run(partial(check_handshake, server, kept, client, job=job))
        for route in FRAME_ROWS:
            with cells.cell(route):
                run(check_frame, server, kept, client, route)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__)
def test_requests(server: FunctionServer, client: Client, run: Any) -> None:
    key_of = cache(partial(run, key_for, client, server))  # a key takes longer than most answers
    with Cells() as cells:
        for request, (scope, _) in REQUESTS.items():
            for path in SUBMITS:
                with cells.cell(f"{request} to {path}"):
                    check_request(server, path, request, client, key_of(scope, ALSO))
