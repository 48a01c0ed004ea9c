"""Pictures that jobs bring along, through real servers: on the simulator and on a real ComfyUI."""

import io
import json
import os
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from tests.e2e.test_restart import WAIT_S, job, submit, until
from tests.processes import Process, Processes

URL = os.environ.get("COMFYQ_TEST_COMFYUI_URL", "")  # noqa: TID251 - a setting of the tests
REAL = pytest.param(
    URL,
    id="comfyui",
    marks=[
        pytest.mark.comfyui,
        pytest.mark.skipif(not URL, reason="COMFYQ_TEST_COMFYUI_URL names no ComfyUI"),
    ],
)
SMALL: dict[str, Any] = {"workflow": "sd15-img2img", "steps": 2, "seed": 7}


def png(color: str, size: tuple[int, int] = (64, 64)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(content: bytes) -> str:
    return f"data:image/png;base64,{b64encode(content).decode()}"


class Pictures(BaseHTTPRequestHandler):
    """Another server of this machine, which no worker may be sent to."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = png("red")
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def neighbour() -> Iterator[tuple[str, list[str]]]:
    """(URL of a picture on this machine, the paths that were asked for)."""
    asked: list[str] = []
    handler = type("Asked", (Pictures,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a.png", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["", REAL])
def up(request: pytest.FixtureRequest, processes: Processes) -> Process:
    return processes.up(comfyui=[request.param] if request.param else [])


def upload(up: Process, content: bytes) -> dict[str, Any]:
    headers = {"Content-Type": "image/png"}
    asked = urllib.request.Request(f"{up.url}/assets", data=content, headers=headers)
    with urllib.request.urlopen(asked) as answer:
        stored: dict[str, Any] = json.load(answer)
        return stored


def picture(up: Process, job_id: str) -> PngImageFile:
    until(up.url, job_id, "completed")
    with urllib.request.urlopen(job(up.url, job_id)["image_url"]) as answer:
        opened = Image.open(io.BytesIO(answer.read()))
    opened.load()
    assert isinstance(opened, PngImageFile)
    return opened


def failed(up: Process, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_S
    while (shown := job(up.url, job_id))["status"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert shown["status"] == "failed"
    return shown


def test_pictures_come_as_data_and_as_assets_and_do_not_collide(up: Process) -> None:
    red, blue = png("red"), png("blue")
    sources = [data_uri(red), upload(up, red)["source"], upload(up, blue)["source"]]
    ids = [submit(up, image=source, **SMALL) for source in sources]
    first, same, other = [picture(up, job_id) for job_id in ids]
    assert first.size == (64, 64)
    assert first.tobytes() == same.tobytes() != other.tobytes()


def test_the_picture_tells_how_it_was_made(up: Process) -> None:
    described, silent = [
        submit(up, image=data_uri(png("red")), metadata=m, **SMALL) for m in (True, False)
    ]
    metadata = json.loads(picture(up, described).text["comfyq"])
    assert metadata == job(up.url, described, "/metadata")
    assert metadata["parameters"]["seed"] == 7
    assert metadata["parameters"]["image"].startswith("asset:")
    assert metadata["models"] == ["v1-5-pruned-emaonly-fp16.safetensors"]
    assert "comfyq" not in picture(up, silent).text
    assert picture(up, silent).text.keys() == picture(up, described).text.keys() - {"comfyq"}


def test_a_picture_is_made_larger(up: Process) -> None:
    body = json.dumps({"image": data_uri(png("red", (16, 8)))}).encode()
    headers = {"Content-Type": "application/json"}
    url = f"{up.url}/workflows/upscale-4x/generate"
    asked = urllib.request.Request(url, data=body, headers=headers)
    with urllib.request.urlopen(asked) as answer:
        job_id = json.load(answer)["id"]
    assert picture(up, job_id).size == (64, 32)


def test_no_worker_is_sent_to_its_own_machine(
    processes: Processes, neighbour: tuple[str, list[str]]
) -> None:
    url, asked = neighbour
    up = processes.up()
    shown = failed(up, submit(up, image=url, **SMALL))
    assert shown["error_code"] == "input-forbidden"
    assert not asked


def test_unless_that_is_allowed(processes: Processes, neighbour: tuple[str, list[str]]) -> None:
    url, asked = neighbour
    up = processes.up(env={"COMFYQ_INPUT_ALLOW": "files.lan, 127.0.0.0/8"})
    assert picture(up, submit(up, image=url, **SMALL)).size == (64, 64)
    assert asked == ["/a.png"]


def test_what_is_no_picture_fails_before_it_is_rendered(processes: Processes) -> None:
    up = processes.up()
    shown = failed(up, submit(up, image=data_uri(b"no picture"), **SMALL))
    assert shown["error_code"] == "input-invalid"
    assert shown["started_at"] is None
