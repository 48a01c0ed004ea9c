"""Every answer of a server keeps a browser from running, framing or sniffing what it quotes."""

import socket
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import pytest
import urllib3

from comfyq.edges.api.safe_headers import SAFE
from tests.e2e.test_keys import Commands
from tests.processes import Process, Processes

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
JSON = {"Content-Type": "application/json"}
WAIT_S = 30.0


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    home = tmp_path_factory.mktemp("server")
    Commands(home).key()
    started = Processes(home)
    try:
        yield started.up(options=("--auth", "keys"))
    finally:
        started.close()


def check(headers: Mapping[str, str], place: str) -> None:
    lowered = {name.lower(): value for name, value in headers.items()}
    for name in SAFE:
        assert name.lower() in lowered, (place, name)
    assert lowered["x-content-type-options"] == "nosniff"
    policy = lowered["content-security-policy"]
    assert "default-src 'none'" in policy, place
    assert "frame-ancestors 'none'" in policy or policy.startswith("sandbox;"), place


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/health", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/docs", {}, 200),
        ("GET", "/redoc", {}, 200),
        ("GET", "/generate", {}, 401),
        ("GET", "/nothing<script>", {}, 404),
        ("GET", "/generate/", {}, 307),
        ("PUT", "/health", {}, 405),
        ("OPTIONS", "/generate", {}, 204),
        ("GET", "/health", {"Host": "evil.example"}, 421),
        ("POST", "/generate", {**JSON, "Origin": "http://evil.example"}, 403),
        ("GET", "/generate/5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34/outputs/0?signature=x", {}, 403),
    ],
)
def test_answers(up: Process, method: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = urllib3.request(method, f"{up.url}{path}", headers=headers, redirect=False)
    assert answer.status == status, answer.data
    check(answer.headers, path)


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/local", "localhost", 401),
        ("/local", "evil.example", 421),
        ("/nothing", "localhost", 403),
    ],
)
def test_refused_handshakes(up: Process, path: str, host: str, status: int) -> None:
    check(raw(up, HANDSHAKE.format(path=path, host=host), status), path)


def test_what_is_no_http(up: Process) -> None:
    check(raw(up, "NONSENSE\r\n\r\n", 400), "no HTTP")


def test_a_head_that_is_too_long(up: Process) -> None:
    check(raw(up, f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {'a' * 40_000}\r\n\r\n", 431), "head")


def raw(up: Process, request: str, status: int) -> dict[str, str]:
    """Send a request as it is; return the headers of the answer."""
    address = urlsplit(up.url)
    with socket.create_connection((address.hostname, address.port), timeout=WAIT_S) as connection:
        connection.sendall(request.encode())
        head = b""
        while b"\r\n\r\n" not in head and (chunk := connection.recv(65_536)):
            head += chunk
    first, *lines = head.split(b"\r\n\r\n")[0].decode().split("\r\n")
    assert first.split()[1] == str(status), first
    return dict(line.split(": ", 1) for line in lines)
