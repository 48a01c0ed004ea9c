"""A server that takes an issuer's tokens beside API keys, as a process."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import urllib3
import websocket

from tests.e2e.test_keys import Commands, comfyq  # noqa: F401 - a fixture
from tests.issuer import Issuer, published, rsa_key, serving_issuer
from tests.processes import Process, Processes

WAIT_S = 30.0
FOX = {"prompt": "a fox", "width": 64, "height": 64}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving_issuer() as issuer:
        yield issuer


def token(issuer: Issuer, *, scope: str = "submit read", org: str = "studio", **how: Any) -> str:
    return issuer.token(now=datetime.now(UTC), scope=scope, org=org, **how)  # noqa: TID251


def ask(up: Process, method: str, path: str, bearer: str, **how: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {bearer}"}
    answer = urllib3.request(method, up.url + path, headers=headers, retries=False, **how)
    return answer.status, json.loads(answer.data)


def test_who_has_a_token_is_let_in_until_it_expires(
    comfyq: Commands,  # noqa: F811
    processes: Processes,
    issuer: Issuer,
) -> None:
    settings = issuer.settings | {"COMFYQ_OIDC_SKEW_S": "0"}
    up = processes.up(data_dir=comfyq.data_dir, options=("--auth", "keys,oidc"), env=settings)
    assert issuer.asked == []  # it needs no issuer to start
    own, key = token(issuer), comfyq.key()

    made = comfyq(
        *("--url", up.url, "submit", "a fox", "--width", 64, "--height", 64),
        *("--wait", "--out", comfyq.home / "out"),
        COMFYQ_API_KEY=own,
    )
    assert made.returncode == 0, made.stderr
    assert len(list((comfyq.home / "out").iterdir())) == 1
    assert [len(ask(up, "GET", "/generate", each)[1]["jobs"]) for each in (own, key)] == [1, 0]
    assert ask(up, "POST", "/generate", token(issuer, scope="read"), json=FOX)[0] == 403
    assert ask(up, "GET", "/generate", token(issuer, key=rsa_key(1)))[0] == 401

    issuer.keys = [published(rsa_key(1), "new")]  # they are rotated
    rotated = token(issuer, key=rsa_key(1), header={"kid": "new"})
    _until(lambda: ask(up, "GET", "/generate", rotated)[0] == 200)
    assert ask(up, "GET", "/generate", own)[0] == 401
    _assert_socket_ends(up, issuer)
    assert not any(part in up.log for text in (own, rotated) for part in text.split(".")[1:])


def _assert_socket_ends(up: Process, issuer: Issuer) -> None:
    """Open sockets by a token that lives for some seconds, and by a ticket for it."""
    ends = int(time.time()) + 10  # noqa: TID251 - the server's clock is this one
    short = token(issuer, key=rsa_key(1), header={"kid": "new"}, exp=ends)
    status, ticket = ask(up, "POST", "/ws-ticket", short, json={})
    assert status == 201
    url = up.url.replace("http", "ws") + "/local"
    by_token = {"Authorization": f"Bearer {short}"}
    sockets = [
        websocket.create_connection(url, timeout=WAIT_S, header=by_token),
        websocket.create_connection(f"{url}?ticket={ticket['ticket']}", timeout=WAIT_S),
    ]
    for opened in sockets:
        opcode, _ = opened.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        opened.shutdown()  # type: ignore[no-untyped-call]
    assert time.time() >= ends  # noqa: TID251
    assert ask(up, "GET", "/generate", short)[0] == 401


def test_a_server_for_tokens_names_what_it_needs(comfyq: Commands) -> None:  # noqa: F811
    refused = comfyq("up", "--port", 0, "--auth", "oidc")
    assert refused.returncode == 2
    assert "needs COMFYQ_OIDC_ISSUER" in refused.stderr
    assert "Traceback" not in refused.stderr


def _until(holds: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)
