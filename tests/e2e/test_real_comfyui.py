"""The main job on a real ComfyUI: its pixels, its steps, thirty at once."""

import io
import json
import os
import secrets
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import websocket
from PIL import Image, ImageColor

from comfyq.domain.graph.safe_classes import SAFE_CLASSES
from comfyq.domain.job import JobId
from comfyq.services.worker.prompts import prompt_id
from tests.data.comfyui.derive_safe_classes import safe_classes
from tests.e2e.test_restart import job, submit, until
from tests.processes import Process, Processes

URL = os.environ.get("COMFYQ_TEST_COMFYUI_URL", "")  # noqa: TID251 - a setting of the tests
pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif(not URL, reason="COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make comfyui`"),
]
LORA = "tiny_flux_lora.safetensors:0.8"


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("emulator", marks=pytest.mark.verify)]
)
def up(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    processes = Processes(tmp_path_factory.mktemp("up"))
    try:
        yield processes.up(backend=request.param, comfyui=[URL])
    finally:
        processes.close()


def pixels(up: Process, job_id: str) -> bytes:
    with urllib.request.urlopen(job(up.url, job_id)["image_url"]) as answer:
        picture = Image.open(io.BytesIO(answer.read()))
    assert picture.size == (64, 64)
    return picture.convert("RGB").tobytes()


def followed(up: Process, job_id: str, query: str = "") -> list[dict[str, Any]]:
    """Every frame of a job, up to its last."""
    follower = websocket.create_connection(
        f"{up.url.replace('http', 'ws')}/ws/progress/{job_id}{query}", timeout=120
    )
    frames = [json.loads(follower.recv())]
    while frames[-1].get("status", "running") in ("queued", "running"):
        frames.append(json.loads(follower.recv()))
    follower.close()
    return frames


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(up: Process) -> None:
    first, other, again = [submit(up, steps=20, seed=seed, loras=[LORA]) for seed in (42, 43, 42)]
    for job_id in (first, other, again):
        until(up.url, job_id, "completed")
    assert pixels(up, first) == pixels(up, again)
    assert pixels(up, first) != pixels(up, other)


def test_its_steps_are_on_the_socket(up: Process) -> None:
    fresh = secrets.randbelow(2**32)  # ComfyUI runs nothing of what it has cached
    job_id = submit(up, width=128, height=128, steps=150, seed=fresh, loras=[LORA])
    frames = followed(up, job_id)
    steps = [frame["step"] for frame in frames if frame["max_steps"] == 150]
    assert frames[-1]["status"] == "completed"
    assert steps == sorted(steps)
    assert any(0 < step < 150 for step in steps)
    assert frames[-1]["step"] == 150


def test_previews_and_nodes_are_on_the_socket(up: Process) -> None:
    fresh = secrets.randbelow(2**32)
    job_id = submit(up, width=128, height=128, steps=150, seed=fresh, loras=[LORA])
    frames = followed(up, job_id, "?previews=1")
    shown = [frame for frame in frames if frame["kind"] == "preview"]
    told = [frame for frame in frames if frame["kind"] != "preview"]
    progress = [frame["progress"] for frame in told]
    assert progress == sorted(progress)
    assert progress[-1] == 1 > progress[-2]
    assert told[-1]["nodes_done"] == told[-1]["nodes_total"] > 0
    assert "SamplerCustomAdvanced" in {frame["node_class"] for frame in told}
    assert shown, "ComfyUI makes previews: it is new enough, or was started with them"
    with Image.open(io.BytesIO(b64decode(shown[0]["data"]))) as picture:
        assert picture.size == (shown[0]["width"], shown[0]["height"])


def test_thirty_jobs_at_once_all_complete(up: Process) -> None:
    ids = [submit(up, steps=4, seed=seed) for seed in range(1000, 1030)]
    for job_id in ids:
        until(up.url, job_id, "completed")
        assert len(job(up.url, job_id)["outputs"]) == 1


def test_the_size_that_was_asked_for_is_the_size_that_comes(up: Process) -> None:
    job_id = submit(up, width=96, height=48, steps=2, seed=5)
    until(up.url, job_id, "completed")
    with urllib.request.urlopen(job(up.url, job_id)["image_url"]) as answer:
        assert Image.open(io.BytesIO(answer.read())).size == (96, 48)


def test_datasets_are_saved_in_the_jobs_own_folder_and_the_job_says_so(up: Process) -> None:
    picture = {"width": 64, "height": 64, "batch_size": 1, "color": 0}
    saver = {"images": ["1", 0], "folder_name": "sets/mine", "filename_prefix": "deep/a"}
    graph: dict[str, Any] = {
        "1": {"class_type": "EmptyImage", "inputs": picture},
        "2": {"class_type": "SaveImageDataSetToFolder", "inputs": saver},
        "3": {
            "class_type": "SaveImageTextDataSetToFolder",
            "inputs": saver | {"texts": "a caption", "folder_name": "captioned"},
        },
    }
    job_id = post(f"{up.url}/generate", {"graph": graph})["id"]
    until(up.url, job_id, "completed")
    warnings = " ".join(job(up.url, job_id)["warnings"])
    assert "node 2 (SaveImageDataSetToFolder) does not tell" in warnings
    assert "node 3 (SaveImageTextDataSetToFolder) does not tell" in warnings
    folder = folder_of(job_id)
    for name in ("mine/a_00000.png", "captioned/a_00000.png", "captioned/a_00000.txt"):
        below, _, filename = name.partition("/")
        where = {"filename": filename, "subfolder": f"{folder}/{below}", "type": "output"}
        with urllib.request.urlopen(f"{URL}/view?{urlencode(where)}") as answer:
            assert answer.read(), name


def test_every_page_of_a_tiff_becomes_a_picture(up: Process) -> None:
    colors = ["red", "lime", "blue", "white"]
    first, *rest = [Image.new("RGB", (16, 16), color) for color in colors]
    pages = io.BytesIO()
    first.save(pages, "TIFF", save_all=True, append_images=rest)
    source = f"data:image/tiff;base64,{b64encode(pages.getvalue()).decode()}"
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": source}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}},
    }
    job_id = post(f"{up.url}/generate", {"graph": graph})["id"]
    until(up.url, job_id, "completed")
    made = []
    for output in job(up.url, job_id)["outputs"]:
        with urllib.request.urlopen(output["url"]) as answer:
            made.append(Image.open(io.BytesIO(answer.read())).convert("RGB").getpixel((8, 8)))
    assert made == [ImageColor.getrgb(color) for color in colors]


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request) as answer:
        content: dict[str, Any] = json.load(answer)
        return content


def folder_of(job_id: str) -> str:
    """Return the folder, in ComfyUI's output folder, of a job's only attempt."""
    with urllib.request.urlopen(f"{URL}/history/{prompt_id(JobId(job_id), 1)}") as answer:
        [entry] = json.load(answer).values()
    folder: str = entry["prompt"][2]["2"]["inputs"]["folder_name"]
    return folder.rpartition("/")[0]


def test_the_safe_profile_has_no_class_that_this_comfyui_shows_to_be_unsafe() -> None:
    with urllib.request.urlopen(f"{URL}/object_info") as answer:
        info = json.load(answer)
    own = {name for name in info if not str(info[name]["python_module"]).startswith("custom_nodes")}
    assert len(SAFE_CLASSES & own) > 300
    assert SAFE_CLASSES & info.keys() == set(safe_classes(info))


def test_a_job_runs_with_the_safe_profile(processes: Processes) -> None:
    up = processes.up(comfyui=[URL], env={"COMFYQ_NODES": "safe"})
    until(up.url, submit(up, workflow="sd15", steps=2), "completed")
