"""Paths, a graph and errors that tests of the Comfy API v2 share."""

from typing import Any

import httpx2

JOBS, ASSETS = "/api/v2/jobs", "/api/v2/assets"
GRAPH: dict[str, Any] = {
    "3": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "a"}},
}
HASH = {"hash": f"blake3:{'0' * 64}"}  # of nothing
BODY: dict[str, Any] = {"workflow": GRAPH}


def told_error(answer: httpx2.Response) -> tuple[int, str]:
    """Return the status and code of an error, which must be in the contract's envelope."""
    assert answer.headers["content-type"] == "application/json", answer.text
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message", "details"}
    assert isinstance(body["error"]["message"], str)
    assert body["error"]["message"]
    return answer.status_code, body["error"]["code"]
