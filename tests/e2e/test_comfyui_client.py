"""The facade of ComfyUI's own API by a real client of it, and by ComfyUI's own examples."""

import json
import os
from base64 import b64decode
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.caller import Scope
from tests.facade_lab import TIMEOUT_S, served, size_of, told_by
from tests.processes import ROOT, Processes

SCOPES = frozenset({Scope.SUBMIT, Scope.GRAPH, Scope.READ, Scope.CANCEL})
WAYS = ("sockets", pytest.param("polled", marks=pytest.mark.verify))  # the second on Lambda
TITLES = {"KSampler": "Sample", "SaveImage": "Save", "LoadImage": "Load"}
URL = os.environ.get("COMFYQ_TEST_COMFYUI_URL", "")  # noqa: TID251 - a setting of the tests
EXAMPLE_NAMES = ("websockets_api_example.py", "websockets_api_example_ws_images.py")
EXAMPLES = ROOT / ".comfyui/ComfyUI/script_examples"


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("way", WAYS)
def test_its_client_runs_loads_and_interrupts_graphs(way: str, tmp_path: Path) -> None:
    with served(tmp_path, "comfyui", SCOPES, by_lambda=way == "polled") as (url, key):
        told = told_by("comfyui_client.py", url, key, *_graphs(tmp_path), way, home=tmp_path)

    expected = ["polled"] if way == "polled" else ["polled", "made"]
    for pictures in [told[name] for name in expected]:
        assert [size_of(b64decode(content)) for content in pictures.values()] == [(64, 64)]
        assert all(name.endswith(".png") for name in pictures)
    if way == "sockets":
        assert told["loaded"]["stored"] == {"name": "fox.png", "subfolder": "mine", "type": "input"}
        assert len(told["loaded"]["made"]) == 1
        names = [*told["made"], *told["loaded"]["made"], *told["polled"]]
        assert len(set(names)) == len(names), "or a client would write one over another"
    assert told["interrupted"] == {"before": 0, "status": "error", "last": "execution_interrupted"}
    assert "status code 400" in told["refusals"]["graph"]
    assert "status code 401" in told["refusals"]["key"]
    assert "sampler_name" in told["class"]
    assert told["classes"] > 10
    assert (told["devices"], told["embeddings"]) == (1, [])


@pytest.mark.comfyui
@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no ComfyUI is prepared; `make comfyui`")
@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("example", EXAMPLE_NAMES)
def test_comfyuis_own_examples_get_their_pictures(example: str, tmp_path: Path) -> None:
    """The second one's SaveImageWebsocket is a custom node, which the simulator has."""
    engines = [URL] if URL and example == EXAMPLE_NAMES[0] else []
    with closing(Processes(tmp_path)) as processes:
        up = processes.up(comfyui=engines, env={"COMFYQ_FACADES": "comfyui"})
        address = up.url.removeprefix("http://")
        for base in (address, f"{address}/comfyui"):
            made = told_by("comfyui_example.py", EXAMPLES / example, base, home=tmp_path)
            assert [len(pictures) for pictures in made.values()] == [1], base
            assert all(size > 100 for pictures in made.values() for size in pictures)


def _graphs(folder: Path) -> list[Path]:
    """Write two small graphs whose nodes have titles, as the editor's exports do."""
    sized = {"width": 64, "height": 64}
    paths = []
    for workflow, node in (("sd15", "5"), ("sd15-img2img", "11")):
        graph: dict[str, Any] = json.loads(
            (ROOT / "workflows" / workflow / "graph.json").read_text()
        )
        graph[node]["inputs"] |= sized
        for body in graph.values():
            body["_meta"] = {"title": TITLES.get(body["class_type"], body["class_type"])}
        paths.append(folder / f"{workflow}.json")
        paths[-1].write_text(json.dumps(graph))
    return paths
