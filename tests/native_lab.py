"""Requests of clients of ComfyUI's own API."""

import json
from typing import Any

import httpx2

from tests.api_lab import ApiLab
from tests.comfy_lab import GRAPH


def loading(name: str) -> dict[str, Any]:
    return GRAPH | {"4": {"class_type": "LoadImage", "inputs": {"image": name}}}


def sent(lab: ApiLab, graph: Any = GRAPH, **more: Any) -> str:
    """Submit a graph as clients do, without a word on what the body is."""
    answer = lab.client.post("/prompt", content=json.dumps({"prompt": graph, **more}))
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"prompt_id", "number", "node_errors"}
    assert answer.json()["node_errors"] == {}
    return str(answer.json()["prompt_id"])


def got(lab: ApiLab, path: str) -> Any:
    return lab.client.get(path).raise_for_status().json()


def told_error(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and type of an error, which must be in ComfyUI's form."""
    assert answer.headers["content-type"] == "application/json", answer.text
    body = answer.json()
    assert body.keys() == {"error", "node_errors"}
    assert body["error"].keys() == {"type", "message", "details", "extra_info"}
    assert body["error"]["message"]
    return answer.status_code, body["error"]["type"]
