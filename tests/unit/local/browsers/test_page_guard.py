"""Pages elsewhere cannot use a server on this machine through their visitor's browser."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from comfyq.config import ApiSettings
from comfyq.local.browsers.cors import keep_pages_out
from comfyq.local.browsers.page_guard import PageGuard, ServedNames
from tests.asgi_client import AsgiClient

pytestmark = pytest.mark.anyio

EVIL = "http://evil.example"
OURS = "http://127.0.0.1:8000"


def client_of(**settings: Any) -> AsgiClient:
    app = FastAPI()
    app.add_api_route("/", lambda: "done", methods=["GET", "POST", "DELETE"])
    keep_pages_out(app, ApiSettings(**settings), names=["gpu-host"])
    return AsgiClient(app, base_url=OURS)


def refusal(method: str, headers: dict[str, str], **settings: Any) -> tuple[int, str]:
    """Return status and code of an answer; no code if it is none of a problem."""
    answer = client_of(**settings).request(method, "/", headers=headers)
    return answer.status_code, answer.json()["code"] if answer.status_code >= 400 else ""


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8000", "localhost:8000", "LOCALHOST", "localhost.", "api.localhost:8000"),
        *("[::1]:8000", "192.168.1.5:8000", "10.0.0.1", "gpu-host:8000"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_server_answers_to_its_own_names(host: str, method: str) -> None:
    assert refusal(method, {"Host": host}) == (200, "")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example@localhost", "localhost/evil", "localhost?evil", "localhost#evil"),
        *("evil.example", "evil.example:8000", "localhost.evil.example", "notlocalhost"),
        *("127.0.0.1.evil.example", "[::1", "", "127.0.0.1@evil.example", "gpu-host.evil.example"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_it_answers_to_no_other_name(host: str, method: str) -> None:
    """A page that was led here by DNS rebinding sends its own name, and could read answers."""
    assert refusal(method, {"Host": host, "Origin": f"http://{host}"}) == (421, "unknown-host")


async def test_further_names_are_a_setting_and_the_public_url_is_one() -> None:
    named = {"allowed_hosts": "comfy.lan, b.example"}
    assert refusal("GET", {"Host": "b.example"}, **named) == (200, "")
    assert refusal("GET", {"Host": "c.example"}, **named) == (421, "unknown-host")
    assert refusal("GET", {"Host": "c.example"}, allowed_hosts="*") == (200, "")
    public = {"public_url": "https://pictures.example/comfy"}
    assert refusal("GET", {"Host": "pictures.example"}, **public) == (200, "")


async def test_a_refusal_says_which_setting_helps() -> None:
    wrong_name = client_of().get("/", headers={"Host": "comfy.lan"}).json()
    assert "'comfy.lan'" in wrong_name["detail"]
    assert "COMFYQ_ALLOWED_HOSTS" in wrong_name["detail"]
    wrong_page = client_of().post("/", headers={"Origin": EVIL}).json()
    assert f"'{EVIL}'" in wrong_page["detail"]
    assert "COMFYQ_CORS_ORIGINS" in wrong_page["detail"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    "origin",
    [EVIL, "null", "", "http://127.0.0.1:9000", "http://localhost:8000", "file://", f"{OURS}x"],
)
async def test_pages_of_other_origins_change_nothing(method: str, origin: str) -> None:
    assert refusal(method, {"Origin": origin}) == (403, "foreign-origin")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8000", OURS),
        ("localhost", "http://localhost"),
        ("gpu-host", "https://gpu-host"),
        ("gpu-host:443", "https://gpu-host"),
        ("LOCALHOST:8000", "http://localhost:8000"),
    ],
)
async def test_its_own_pages_may(host: str, origin: str) -> None:
    assert refusal("POST", {"Host": host, "Origin": origin}) == (200, "")


async def test_pages_that_settings_name_may() -> None:
    page = {"Origin": "https://app.example"}
    assert refusal("POST", page, cors_origins=f"{EVIL}, https://app.example/") == (200, "")
    assert refusal("POST", page, cors_origins=EVIL) == (403, "foreign-origin")
    assert refusal("POST", page, cors_origins="*") == (200, "")
    assert refusal("POST", page, public_url="https://app.example/comfy") == (200, "")


async def test_what_only_reads_is_answered_since_browsers_show_it_to_no_other_page() -> None:
    answer = client_of().get("/", headers={"Origin": EVIL})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


async def open_socket(headers: dict[str, str], *, version: str = "1.1") -> tuple[int, str]:
    """Return the status of a handshake, and the code of its refusal."""
    sent: list[Message] = []

    async def accept(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {
        "type": "websocket",
        "http_version": version,
        "path": "/local",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "extensions": {"websocket.http.response": {}},
    }
    await PageGuard(accept, names=ServedNames([]), origins=[])(scope, receive, send)
    if sent[0]["type"] == "websocket.accept":
        return 101, ""
    return sent[0]["status"], json.loads(sent[1]["body"])["code"]


async def test_sockets_are_as_guarded() -> None:
    assert await open_socket({"Host": "localhost:8000"}) == (101, "")
    own = {"Host": "localhost:8000", "Origin": "http://localhost:8000"}
    assert await open_socket(own) == (101, "")
    assert await open_socket(own | {"Origin": EVIL}) == (403, "foreign-origin")
    rebound = {"Host": "evil.example", "Origin": EVIL}
    assert await open_socket(rebound) == (421, "unknown-host")
    assert await open_socket({}) == (400, "bad-request")
    assert await open_socket({}, version="1.0") == (101, "")
