"""Comfy's own command line, comfy-cli, against a server of ours.

``comfy deploy run`` speaks the Comfy API v2, but to servers alone that Comfy's cloud names: what it
does then is called without that. ``comfy run`` speaks ComfyUI's native API, and sends no keys.
"""

import io
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from PIL import Image

from tests.e2e.test_comfy_sdk import LONG, SCOPES, graph, picture
from tests.facade_lab import served
from tests.paths import ROOT
from tests.processes import Process, Processes, clean_env

PROGRAMS = ROOT / ".comfy-cli" / "bin"
DATA_PLANE = ROOT / "infra" / "comfy_cli" / "data_plane.py"
NATIVE = "comfyui"  # the facade of ComfyUI's native API
CALL_S = 60
# Nothing is told to its makers, and no process of it goes on behind our backs.
QUIETLY = {"DO_NOT_TRACK": "1", "COMFY_NO_WATCH": "1"}

pytestmark = [
    pytest.mark.verify,
    pytest.mark.skipif(
        not PROGRAMS.exists(), reason="comfy-cli is not installed: run make .comfy-cli/.made"
    ),
]


def test_deploy_run_works_by_the_comfy_api_v2(tmp_path: Path) -> None:
    (tmp_path / "graph.json").write_text(json.dumps(graph(steps=30).json))
    (tmp_path / "photo.png").write_bytes(picture())
    with served(tmp_path, "", SCOPES) as (url, key):
        done = subprocess.run(
            [PROGRAMS / "python", DATA_PLANE, url, key, tmp_path],
            capture_output=True,
            text=True,
            timeout=CALL_S,
            env=clean_env(tmp_path, QUIETLY),
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["uploaded"], told["same"]) == ([1, 0], True)
        assert told["status"] == "succeeded"
        assert {"status", "progress", "output"} <= set(told["events"])
        assert told["last"] == ["status", {"status": "succeeded", "queue_position": None}]
        assert [node for node, _ in told["outputs"]] == ["9", "21"]
        for _, link in told["outputs"]:
            with urlopen(link) as answer, Image.open(io.BytesIO(answer.read())) as made:
                made.load()
    codes = {name: told[name]["code"] for name in ("reused", "missing", "invalid")}
    assert codes == {
        "reused": "deploy_idempotency_reuse",
        "missing": "deploy_asset_missing",
        "invalid": "deploy_workflow_invalid",
    }


class Comfy:
    """The command line, at one server."""

    def __init__(self, up: Process, folder: Path) -> None:
        self._place = ("--host", "127.0.0.1", "--port", str(urlsplit(up.url).port))
        self._folder = folder

    def told(self, *command: str, code: int = 0, stream: bool = False) -> list[Any]:
        """Run a command and return what it tells: events, and at last how it has ended."""
        form = "--json-stream" if stream else "--json"
        done = subprocess.run(
            [PROGRAMS / "comfy", form, *command, *self._place],
            capture_output=True,
            text=True,
            timeout=CALL_S,
            env=clean_env(self._folder, QUIETLY),
        )
        assert done.returncode == code, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def data(self, *command: str) -> Any:
        [told] = self.told(*command)
        assert told["ok"], told
        return told["data"]

    def file(self, asked: dict[str, Any]) -> str:
        """Write a graph into a file."""
        path = self._folder / "graph.json"
        path.write_text(json.dumps(asked))
        return str(path)


@pytest.fixture
def up(processes: Processes) -> Process:
    return processes.up(options=("--auth", "none"), env={"COMFYQ_FACADES": NATIVE})


@pytest.fixture
def comfy(up: Process, tmp_path: Path) -> Comfy:
    return Comfy(up, tmp_path)


def test_a_graph_is_run_and_followed(comfy: Comfy) -> None:
    asked = graph(steps=40).json
    *events, ended = comfy.told("run", "--workflow", comfy.file(asked), "--wait", stream=True)
    data = ended["data"]
    assert (ended["ok"], data["status"]) == (True, "completed")
    assert set(data["executed_node_ids"]) <= set(asked)
    assert {"3", "9"} <= set(data["executed_node_ids"])
    [url] = data["outputs"]
    assert data["outputs_by_node"] == {"9": [url]}
    with urlopen(url) as answer, Image.open(io.BytesIO(answer.read())) as picture:
        assert picture.size == (64, 64)
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["prompt_preview", "queued"]
    assert {"executing", "executed", "output"} <= set(kinds)
    steps = [event["completed"] for event in events if event["type"] == "progress"]
    assert steps == sorted(steps)
    assert steps


def test_a_graph_that_is_not_waited_for_is_found_and_canceled(comfy: Comfy) -> None:
    quick = comfy.data("run", "--workflow", comfy.file(graph().json))["prompt_id"]
    [waited] = comfy.told("jobs", "wait", quick)
    assert waited["ok"], waited
    shown = comfy.data("jobs", "status", quick)
    assert (shown["status"], len(shown["outputs"])) == ("completed", 1)

    long = comfy.data("run", "--workflow", comfy.file(graph(steps=LONG).json))["prompt_id"]
    while comfy.data("jobs", "status", long)["status"] != "running":
        pass
    assert comfy.data("jobs", "cancel", long)["found"]
    while (status := comfy.data("jobs", "status", long)["status"]) == "running":
        pass
    assert status == "cancelled"
    listed = {each["prompt_id"] for each in comfy.data("jobs", "ls")["jobs"]}
    assert {quick, long} <= listed


def test_a_graph_that_cannot_be_run_is_refused_in_words(comfy: Comfy) -> None:
    broken = graph().json
    broken["3"]["inputs"]["sampler_name"] = "none"
    *_, told = comfy.told("run", "--workflow", comfy.file(broken), "--wait", code=1)
    assert "sampler_name" in json.dumps(told["error"])
