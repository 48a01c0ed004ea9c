"""The facade of RunPod serverless by RunPod's own client."""

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comfyq.domain.caller import Scope
from tests.facade_lab import TIMEOUT_S, served, size_of, told_by
from tests.processes import ROOT

SCOPES = frozenset({Scope.SUBMIT, Scope.GRAPH, Scope.READ, Scope.CANCEL})
SERVERS = ("up", pytest.param("lambda", marks=pytest.mark.verify))


@pytest.fixture(params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("runpod")
    with served(folder, "runpod", SCOPES, by_lambda=request.param == "lambda") as server:
        yield server


@pytest.mark.timeout(TIMEOUT_S)
def test_its_client_runs_follows_and_cancels_graphs(
    server: tuple[str, str], tmp_path: Path
) -> None:
    plain = _graph("sd15", {"5": {"width": 64, "height": 64}})
    loading = _graph(
        "sd15-img2img", {"10": {"image": "fox.png"}, "11": {"width": 64, "height": 64}}
    )
    paths = [tmp_path / "plain.json", tmp_path / "loading.json"]
    for path, graph in zip(paths, (plain, loading), strict=True):
        path.write_text(json.dumps(graph))
    url, key = server
    base_url = f"{url}/v2"
    told = told_by(
        "runpod_client.py", key, *paths, home=tmp_path, RUNPOD_ENDPOINT_BASE_URL=base_url
    )

    jobs = told["jobs"]
    assert jobs["followed"] == "COMPLETED"
    for output in (jobs["waited"], jobs["output"]):
        [image] = output["images"]
        assert image["type"] == "base64"
        assert image["filename"].endswith(".png")
        assert size_of(b64decode(image["data"])) == (64, 64)
    assert jobs["first"] in ("IN_QUEUE", "IN_PROGRESS")
    assert jobs["canceled"] == "CANCELLED"
    assert told["async"] == {"status": "COMPLETED", "images": 1}
    assert told["health"]["workers"]["ready"] == 1
    assert told["health"]["jobs"].keys() >= {"inQueue", "inProgress", "completed", "failed"}
    status, message = told["refusals"]["input"]
    assert (status, "input.workflow: is missing" in message) == (400, True)
    assert "401" in told["refusals"]["key"]


def _graph(name: str, inputs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    graph: dict[str, Any] = json.loads((ROOT / f"workflows/{name}/graph.json").read_text())
    for node, values in inputs.items():
        graph[node]["inputs"] |= values
    return graph
