"""Cases that the simulator and a real ComfyUI both run."""

import copy
import io
import json
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
from PIL import Image

from tests.data.comfyui.tape import GRAPHS, Graph, Json, Tape, connected


def changed(name: str, node_id: str, **inputs: Any) -> Graph:
    """A graph with some inputs of one node changed."""
    graph = copy.deepcopy(GRAPHS[name])
    graph[node_id]["inputs"].update(inputs)
    return graph


async def plain(tape: Tape, name: str) -> None:
    """The graph of that name, once."""
    await tape.run(GRAPHS[name])


async def cached(tape: Tape) -> None:
    """The same graph twice, and once under another file name."""
    await tape.run(GRAPHS["flux"])
    await tape.run(GRAPHS["flux"])
    await tape.run(changed("flux", "9", filename_prefix="cases/other"))


async def changed_text(tape: Tape) -> None:
    """Another text: whatever does not follow from it is cached."""
    await tape.run(GRAPHS["sd15"])
    await tape.run(changed("sd15", "6", text="a large blue ball"))


async def interrupted(tape: Tape) -> None:
    """Stopped by name in the middle of a node, after a stop meant for another prompt."""
    prompt_id = await tape.submit(GRAPHS["sleep"])
    await tape.heard(lambda event: event["type"] == "progress")
    await tape.ask("POST", "/interrupt", json={"prompt_id": str(uuid.uuid4())})
    await tape.ask("POST", "/interrupt", json={"prompt_id": prompt_id})
    await tape.finished(prompt_id)


async def out_of_memory(tape: Tape) -> None:
    await tape.run(changed("raise", "2", kind="oom"))


async def deleted(tape: Tape) -> None:
    """A pending prompt that is deleted leaves no trace; a running one cannot be."""
    running = await tape.submit(GRAPHS["sleep"])
    await tape.heard(lambda event: event["type"] == "progress")
    pending = await tape.submit(GRAPHS["trivial"])
    await tape.ask("GET", "/queue")
    await tape.ask("POST", "/queue", json={"delete": [pending, running, "unknown"]})
    await tape.ask("GET", "/queue")
    await tape.ask("POST", "/interrupt")
    await tape.finished(running)
    await tape.ask("GET", f"/history/{pending}")


async def loaded(tape: Tape) -> None:
    """An uploaded picture, scaled; then the same bytes and other bytes under the same name."""
    name = f"{tape.client_id}.png"
    for color in ("red", "red", "blue"):
        await tape.ask("POST", "/upload/image", data=picture_form(name, color))
    await tape.run(changed("loaded", "1", image=name))
    await tape.ask("POST", "/upload/image", data=picture_form(name, "red", subfolder="../x"))


def picture_form(name: str, color: str, **fields: str) -> aiohttp.FormData:
    """A small picture as a form."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4), color).save(buffer, "PNG")
    form = aiohttp.FormData(fields)
    form.add_field("image", buffer.getvalue(), filename=name, content_type="image/png")
    return form


async def invalid(tape: Tape) -> None:
    """Everything that can be wrong with a graph."""
    for graph in invalid_graphs():
        await tape.submit(graph)
    await tape.ask("POST", "/prompt", json={"client_id": tape.client_id})
    await tape.ask("POST", "/prompt", data=b"{", headers={"Content-Type": "application/json"})
    await tape.ask("POST", "/prompt", json={"prompt": [1]})


def invalid_graphs() -> list[Graph]:
    image = GRAPHS["trivial"]["1"]
    without_width = {name: value for name, value in image["inputs"].items() if name != "width"}
    return [
        {},
        {"1": image},
        {"1": {"class_type": "NoSuchNode", "inputs": {}}},
        {"1": {"inputs": {}, "_meta": {"title": "My node"}}},
        changed("sd15", "4", ckpt_name="nope.safetensors"),
        changed("flux", "40", lora_name="missing.safetensors"),
        {**GRAPHS["trivial"], "1": {"class_type": "EmptyImage", "inputs": without_width}},
        changed("trivial", "2", images=["99", 0]),
        changed("trivial", "2", images=["1"]),
        changed("trivial", "2", images=["1", 5]),
        changed("trivial", "1", width=1_000_000_000),
        changed("trivial", "1", width=0),
        changed("trivial", "1", width="abc"),
        changed("sd15", "8", samples=["6", 0]),
        changed("sd15", "6", clip=["99", 0]),
        changed("loaded", "1", image="nope.png"),
    ]


async def partly_valid(tape: Tape) -> None:
    """One output runs, the other is reported."""
    await tape.run(
        {**GRAPHS["trivial"], **with_prefix("b", changed("loaded", "1", image="no.png"))}
    )


def with_prefix(prefix: str, graph: Graph) -> Graph:
    """The same graph under other node ids."""
    text = json.dumps(graph)
    for node_id in graph:
        text = text.replace(f'"{node_id}"', f'"{prefix}{node_id}"')
    renamed: Graph = json.loads(text)
    return renamed


Case = Callable[[Tape], Awaitable[None]]
PLAIN = ("trivial", "preview", "flux", "sd15", "raise", "webp", "text", "audio", "webm")
FLAGS: Json = {"supports_preview_metadata": True}

CASES: dict[str, Case] = {
    "cached": cached,
    "changed_text": changed_text,
    "deleted": deleted,
    "interrupted": interrupted,
    "invalid": invalid,
    "loaded": loaded,
    "out_of_memory": out_of_memory,
    "partly_valid": partly_valid,
    **{name: partial(plain, name=name) for name in PLAIN},
}


async def play(url: str, name: str) -> Tape:
    """Drive a ComfyUI through one case."""
    async with connected(url, flags=FLAGS) as tape:
        await CASES[name](tape)
    return tape
