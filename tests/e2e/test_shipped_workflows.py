"""Every shipped workflow with its sample, on the simulator that `comfyq up` starts."""

import json
import time
import urllib.request
from typing import Any

from tests.processes import ROOT, Processes

WAIT_S = 90.0


def asked(url: str, body: bytes | None = None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers)) as answer:
        content: dict[str, Any] = json.load(answer)
        return content


def test_each_makes_an_output(processes: Processes) -> None:
    up = processes.up()
    samples = {path.parent.name: path for path in (ROOT / "workflows").glob("*/sample.json")}
    ids = {
        name: asked(f"{up.url}/workflows/{name}/generate", path.read_bytes())["id"]
        for name, path in samples.items()
    }
    deadline = time.monotonic() + WAIT_S
    for job_id in ids.values():
        while asked(f"{up.url}/generate/{job_id}")["status"] in ("queued", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    ended = {name: asked(f"{up.url}/generate/{job_id}") for name, job_id in ids.items()}
    assert {job["status"] for job in ended.values()} == {"completed"}
    assert {name for name, job in ended.items() if not job["outputs"]} == set()
