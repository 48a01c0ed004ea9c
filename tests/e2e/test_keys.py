"""A server whose clients need a key, as processes: refusal, first key, jobs, revocation."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3
import websocket

from tests.processes import ROOT, Processes, clean_env

WAIT_S = 30.0


class Commands:
    """Runs ``comfyq`` with a data directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data_dir = home / "data"

    def __call__(self, *command: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "comfyq.cli", *map(str, command)],
            env=clean_env(self.home, {"COMFYQ_DATA_DIR": str(self.data_dir), **env}),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    def key(self, *options: str) -> str:
        made = self("keys", "create", "a key", *options)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()


@pytest.fixture
def comfyq(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def test_a_server_for_others_does_not_start_without_keys(comfyq: Commands) -> None:
    refused = comfyq("up", "--host", "0.0.0.0", "--port", 0)
    assert refused.returncode == 2
    assert f"`comfyq keys create NAME --data-dir {comfyq.data_dir}`" in refused.stderr
    assert "--insecure serves without sign-in" in refused.stderr
    assert "Traceback" not in refused.stderr
    unsafe = comfyq("up", "--host", "0.0.0.0", "--port", 0, "--auth", "none")
    assert unsafe.returncode == 2
    assert "may submit, read, cancel and delete" in unsafe.stderr


def test_who_has_a_key_is_let_in_until_it_is_revoked(
    comfyq: Commands, processes: Processes
) -> None:
    key = comfyq.key()
    up = processes.up(data_dir=comfyq.data_dir, options=("--auth", "keys"))
    stranger = urllib3.request("GET", f"{up.url}/generate", retries=False)
    assert stranger.status == 401
    assert stranger.headers["WWW-Authenticate"] == 'Bearer realm="comfyq"'
    assert urllib3.request("GET", f"{up.url}/health").status == 200

    asked = ("--url", up.url, "submit", "a fox", "--width", 64, "--height", 64)
    without = comfyq(*asked)
    assert (without.returncode, "unauthenticated" in without.stderr) == (2, True)
    made = comfyq(*asked, "--wait", "--out", comfyq.home / "out", COMFYQ_API_KEY=key)
    assert made.returncode == 0, made.stderr
    assert len(list((comfyq.home / "out").iterdir())) == 1

    def listed() -> int:
        headers = {"X-API-Key": key}
        return urllib3.request("GET", f"{up.url}/generate", headers=headers).status

    assert listed() == 200
    url = up.url.replace("http", "ws") + "/local"
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(url, timeout=WAIT_S)
    assert refused.value.status_code == 401
    headers = refused.value.resp_headers or {}
    assert headers["www-authenticate"] == 'Bearer realm="comfyq"'
    ticket = _asked("POST", f"{up.url}/ws-ticket", key)["ticket"]
    by_key = websocket.create_connection(url, timeout=WAIT_S, header={"X-API-Key": key})
    by_ticket = websocket.create_connection(f"{url}?ticket={ticket}", timeout=WAIT_S)
    revoked = comfyq("keys", "revoke", key.split("_")[1])
    assert revoked.returncode == 0, revoked.stderr
    for opened in (by_key, by_ticket):
        opcode, data = opened.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        assert int.from_bytes(data[:2]) == 4401
        opened.shutdown()  # type: ignore[no-untyped-call]
    _until(lambda: listed() == 401)
    assert key[-64:] not in up.log
    assert ticket not in up.log


def test_a_key_is_made_and_revoked_beside_a_running_server(
    comfyq: Commands, processes: Processes
) -> None:
    comfyq.key()  # `up` does not start without one
    up = processes.up(data_dir=comfyq.data_dir, options=("--auth", "keys"))
    made = comfyq("keys", "create", "a key", **up.exports)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    asked = ("--url", up.url, "submit", "a fox", "--width", 64, "--height", 64)
    assert comfyq(*asked).returncode == 2
    done = comfyq(*asked, "--wait", "--out", comfyq.home / "out", COMFYQ_API_KEY=key)
    assert done.returncode == 0, done.stderr
    assert len(list((comfyq.home / "out").iterdir())) == 1
    revoked = comfyq("keys", "revoke", key.split("_")[1], **up.exports)
    assert revoked.returncode == 0, revoked.stderr
    _until(lambda: comfyq("--url", up.url, "list", COMFYQ_API_KEY=key).returncode == 2)


def _asked(method: str, url: str, key: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}"}
    answer = urllib3.request(method, url, headers=headers, json={})
    assert answer.status == 201, answer.data
    body: dict[str, Any] = json.loads(answer.data)
    return body


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
