"""RunPod's own client against a server of ours: tests run it in an environment of its own.

    RUNPOD_ENDPOINT_BASE_URL=URL/v2 runpod_client.py KEY GRAPH.json LOADS.json

The second graph loads a picture that is called ``fox.png``. What the client got is printed as JSON.
"""

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import requests
import runpod
from aiohttp import ClientSession
from pictures import png
from runpod.endpoint.asyncio.asyncio_runner import Endpoint as AsyncEndpoint

ENDPOINT = "abc123"
STRANGER = "cq_unknown"
WAIT_S = 60
LONG = 3_000  # steps that no test waits for


def graph(path: str, *, seed: int, steps: int = 2) -> dict[str, Any]:
    """Return a graph that nobody has run: ComfyUI remembers results."""
    loaded: dict[str, Any] = json.loads(Path(path).read_text())
    for node in loaded.values():
        if node["class_type"] == "KSampler":
            node["inputs"] |= {"seed": seed, "steps": steps}
    return loaded


def jobs(endpoint: Any, plain: str, loads: str) -> dict[str, Any]:
    """Run jobs in every way that there is."""
    waited = endpoint.run_sync({"input": {"workflow": graph(plain, seed=1)}}, timeout=WAIT_S)
    image = base64.b64encode(png((90, 90, 90))).decode()
    loading = {"workflow": graph(loads, seed=2), "images": [{"name": "fox.png", "image": image}]}
    followed = endpoint.run({"input": loading})
    output = followed.output(timeout=WAIT_S)
    canceled = endpoint.run({"input": {"workflow": graph(plain, seed=3, steps=LONG)}})
    first = canceled.status()
    canceled.cancel(timeout=WAIT_S)
    while canceled.status() not in ("CANCELLED", "COMPLETED", "FAILED"):
        time.sleep(0.05)
    return {
        "waited": waited,
        "followed": followed.status(),
        "output": output,
        "first": first,
        "canceled": canceled.status(),
    }


async def job_of_async_client(graph: dict[str, Any]) -> dict[str, Any]:
    """Run a job by the client for event loops."""
    async with ClientSession() as session:
        job = await AsyncEndpoint(ENDPOINT, session).run({"workflow": graph})
        output = await job.output(timeout=WAIT_S)
        return {"status": await job.status(), "images": len(output["images"])}


def refusals() -> dict[str, Any]:
    """Tell how the client raises what is refused."""
    told: dict[str, Any] = {}
    try:
        runpod.Endpoint(ENDPOINT).run({"input": {"prompt": "a fox"}})
    except requests.HTTPError as refused:
        told["input"] = [refused.response.status_code, refused.response.json()["error"]]
    try:
        runpod.Endpoint(ENDPOINT, api_key=STRANGER).health()
    except RuntimeError as refused:
        told["key"] = str(refused)
    return told


def main(key: str, plain: str, loads: str) -> None:
    runpod.api_key = key
    endpoint = runpod.Endpoint(ENDPOINT)
    told = {
        "jobs": jobs(endpoint, plain, loads),
        "async": asyncio.run(job_of_async_client(graph(plain, seed=4))),
        "health": endpoint.health(),
        "refusals": refusals(),
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
