"""The documented clients against a real server."""

import base64
import io
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import websocket
from PIL import Image

from tests.e2e.clients import CURL_HEALTH, CURL_STATUS, CURL_SUBMIT, FOLLOWING, POLLING
from tests.processes import Processes

SPEC_FIELDS = {"id", "status", "progress", "image_url", "error"}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    servers = Processes(tmp_path_factory.mktemp("spec"))
    try:
        server = servers.up(port=0)
        yield urlsplit(server.url).port or 0
    finally:
        servers.close()


def shell(command: str) -> Any:
    done = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def python(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def test_curl_submits_and_asks(port: int) -> None:
    accepted = shell(CURL_SUBMIT.substitute(port=port))
    assert accepted.keys() >= SPEC_FIELDS
    assert (accepted["status"], accepted["progress"]) == ("queued", 0.0)
    assert any("negative_prompt" in warning for warning in accepted["warnings"])
    status = shell(CURL_STATUS.substitute(port=port, job_id=accepted["id"]))
    assert status.keys() >= SPEC_FIELDS


def test_curl_sees_it_become_healthy(port: int) -> None:
    deadline = time.monotonic() + 60
    while (health := shell(CURL_HEALTH.substitute(port=port)))["status"] != "healthy":
        assert time.monotonic() < deadline, health
    assert health["comfyui_available"] is True


def test_the_polling_client_gets_its_picture(port: int) -> None:
    lines = python(POLLING.substitute(port=port))
    assert lines[0].startswith("Job ID: ")
    assert lines[-2] == "Status: completed - Progress: 100%"
    with urllib.request.urlopen(lines[-1].removeprefix("Image URL: ")) as picture:
        assert picture.read(8) == PNG


def test_the_socket_client_follows_to_the_end(port: int) -> None:
    job_id = shell(CURL_SUBMIT.substitute(port=port))["id"]
    lines = python(FOLLOWING.substitute(port=port, job_id=job_id))
    assert lines[-1] == "Progress: 100% - completed"


def test_previews_and_nodes_for_who_asks(port: int) -> None:
    body = {"prompt": "a fox", "workflow": "flux-hires.json", "steps": 80}
    request = urllib.request.Request(
        f"http://localhost:{port}/generate",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        job_id = json.load(answer)["id"]
    url = f"ws://localhost:{port}/ws/progress/{job_id}"
    client = websocket.create_connection(f"{url}?previews=1", timeout=30)
    frames = [json.loads(text) for text in iter(client.recv, "")]
    client.shutdown()  # type: ignore[no-untyped-call] # the server has closed it
    told = [frame for frame in frames if frame["kind"] != "preview"]
    progress = [frame["progress"] for frame in told]
    assert progress == sorted(progress)
    assert progress[-1] == 1 > progress[-2], "two samplers, one after the other"
    assert (told[-1]["nodes_done"], told[-1]["nodes_total"]) == (18, 18)
    samplers = {frame["node"] for frame in told if frame["node_class"] == "SamplerCustomAdvanced"}
    shown = [frame for frame in frames if frame["kind"] == "preview"]
    assert samplers >= {frame["node"] for frame in shown} != set()
    with Image.open(io.BytesIO(base64.b64decode(shown[0]["data"]))) as picture:
        assert picture.size == (shown[0]["width"], shown[0]["height"])


def test_every_documented_page_is_there(port: int) -> None:
    for page in ("docs", "redoc", "openapi.json"):
        with urllib.request.urlopen(f"http://localhost:{port}/{page}") as answer:
            assert answer.status == 200
