"""comfy-api-simplified against a server of ours: tests run it in an environment of its own.

    comfyui_client.py URL KEY GRAPH.json LOADS.json sockets|polled

Both graphs sample and save by nodes with the titles ``Sample`` and ``Save``; the second loads a
picture by one with the title ``Load``. What the client got is printed as JSON.
"""

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper
from comfy_api_simplified.exceptions import ComfyApiError
from pictures import png

WAIT_S = 60
LONG = 3_000  # steps that no test waits for


def pictures(made: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in made.items()}


def sampled(path: str, *, seed: int, steps: int = 2) -> ComfyWorkflowWrapper:
    """Return a graph that nobody has run: ComfyUI remembers results."""
    workflow = ComfyWorkflowWrapper(path)
    workflow.set_node_param("Sample", "seed", seed)
    workflow.set_node_param("Sample", "steps", steps)
    return workflow


def loaded(api: ComfyApiWrapper, path: str) -> dict[str, Any]:
    """Upload a picture, and run a graph that loads it by the name that the answer has."""
    picture = Path(path).with_name("fox.png")
    picture.write_bytes(png((90, 90, 90)))
    stored = api.upload_image(picture, subfolder="mine")
    workflow = sampled(path, seed=2)
    workflow.set_node_param("Load", "image", f"{stored['subfolder']}/{stored['name']}")
    return {"stored": stored, "made": pictures(api.queue_and_wait_images(workflow, "Save"))}


def interrupted(api: ComfyApiWrapper, path: str) -> dict[str, Any]:
    """Begin a long job, interrupt it, and wait until the history says so."""
    prompt_id = api.queue_prompt(sampled(path, seed=3, steps=LONG))["prompt_id"]
    until = time.monotonic() + WAIT_S
    while not any(each[1] == prompt_id for each in api.get_queue()["queue_running"]):
        assert time.monotonic() < until, "it never ran"
        time.sleep(0.05)
    before = api.get_queue_size_before(prompt_id)
    api.interrupt()
    while prompt_id not in (history := api.get_history(prompt_id)):
        assert time.monotonic() < until, "it never ended"
        time.sleep(0.05)
    status = history[prompt_id]["status"]
    return {"before": before, "status": status["status_str"], "last": status["messages"][-1][0]}


def refusals(api: ComfyApiWrapper, url: str) -> dict[str, str]:
    """Tell how the client raises what is refused."""
    told = {}
    stranger = ("me", "cq_unknown")
    for name, call in {
        "graph": lambda: api.queue_prompt({"1": {"class_type": "NoSuchNode", "inputs": {}}}),
        "key": lambda: ComfyApiWrapper(url, *stranger).get_queue(),
    }.items():
        try:
            call()
        except ComfyApiError as refused:
            told[name] = str(refused)
    return told


def polled(api: ComfyApiWrapper, path: str) -> dict[str, Any]:
    """Run a graph where there are no sockets: the history tells of its end."""
    prompt_id = api.queue_prompt(sampled(path, seed=4))["prompt_id"]
    until = time.monotonic() + WAIT_S
    while prompt_id not in (history := api.get_history(prompt_id)):
        assert time.monotonic() < until, "it never ended"
        time.sleep(0.05)
    [node] = history[prompt_id]["outputs"].values()
    image = node["images"][0]
    content = api.get_image(image["filename"], image["subfolder"], image["type"])
    return pictures({image["filename"]: content})


def main(url: str, key: str, plain: str, loads: str, way: str) -> None:
    api = ComfyApiWrapper(url, user="me", password=key)
    told: dict[str, Any] = {"polled": polled(api, plain)}
    if way == "sockets":
        told["made"] = pictures(api.queue_and_wait_images(sampled(plain, seed=1), "Save"))
        told["loaded"] = loaded(api, loads)
    told |= {
        "interrupted": interrupted(api, plain),
        "refusals": refusals(api, url),
        "class": sorted(api.get_object_info("KSampler")["KSampler"]["input"]["required"]),
        "classes": len(api.get_object_info()),
        "devices": len(api.get_system_stats()["devices"]),
        "embeddings": api.get_embeddings(),
    }
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
