"""Pictures of a real ComfyUI by each facade of one server, in the words of its clients."""

import io
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from PIL import Image

from comfyq.config import Facade
from tests.facade_lab import size_of
from tests.processes import ROOT, Processes

URL = os.environ.get("COMFYQ_TEST_COMFYUI_URL", "")  # noqa: TID251 - a setting of the tests
pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif(not URL, reason="COMFYQ_TEST_COMFYUI_URL names no ComfyUI; `make comfyui`"),
]
MODEL, SIZE = "sd15", 64
FOX = {"prompt": "a fox", "width": SIZE, "height": SIZE, "steps": 2}
ANSWER_S = 60


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    processes = Processes(tmp_path_factory.mktemp("facades"))
    try:
        yield processes.up(comfyui=[URL], env={"COMFYQ_FACADES": ",".join(Facade)}).url
    finally:
        processes.close()


def asked(url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = urllib3.request("POST", url, json=body, timeout=ANSWER_S, retries=False)
    assert answer.status == 200, answer.data[:2_000]
    told: dict[str, Any] = answer.json()
    return told


def test_automatic1111s(url: str) -> None:
    """Samplers, schedules and pictures that are sent along are those of the real one."""
    options = {"override_settings": {"sd_model_checkpoint": MODEL}}
    body = FOX | options | {"sampler_name": "DPM++ 2M", "n_iter": 2, "seed": 7}
    made = asked(f"{url}/sdapi/v1/txt2img", body)
    pictures = [b64decode(each) for each in made["images"]]
    assert [size_of(each) for each in pictures] == [(SIZE, SIZE)] * 2
    assert pictures[0] != pictures[1]
    info = json.loads(made["info"])
    assert (info["all_seeds"], info["comments"]) == ([7, 8], "")
    assert "Sampler: DPM++ 2M, Schedule type: Karras" in info["infotexts"][0]

    init = {"init_images": [made["images"][0]], "denoising_strength": 0.5}
    [edited] = asked(f"{url}/sdapi/v1/img2img", FOX | options | init)["images"]
    assert size_of(b64decode(edited)) == (SIZE, SIZE)
    mask = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE), "white").save(mask, "PNG")
    masked = init | {"mask": b64encode(mask.getvalue()).decode()}
    [repainted] = asked(f"{url}/sdapi/v1/img2img", FOX | options | masked)["images"]
    assert size_of(b64decode(repainted)) == (SIZE, SIZE)

    there = urllib3.request("GET", f"{url}/sdapi/v1/samplers").json()
    assert {"Euler a", "DPM++ 2M", "UniPC"} <= {each["name"] for each in there}
    named = asked(f"{url}/sdapi/v1/png-info", {"image": made["images"][0]})["items"]
    assert "prompt" in named, "ComfyUI's graph is in the picture"


def test_openais_and_runpods(url: str) -> None:
    body = {"model": MODEL, "prompt": "a fox", "size": f"{SIZE}x{SIZE}", "steps": 2, "n": 2}
    made = asked(f"{url}/v1/images/generations", body)["data"]
    assert [size_of(b64decode(each["b64_json"])) for each in made] == [(SIZE, SIZE)] * 2

    graph = json.loads(Path(ROOT / f"workflows/{MODEL}/graph.json").read_text())
    graph["5"]["inputs"] |= {"width": SIZE, "height": SIZE}
    graph["3"]["inputs"] |= {"steps": 2}
    ran = asked(f"{url}/v2/mine/runsync", {"input": {"workflow": graph}})
    assert ran["status"] == "COMPLETED", ran
    [image] = ran["output"]["images"]
    assert size_of(b64decode(image["data"])) == (SIZE, SIZE)
