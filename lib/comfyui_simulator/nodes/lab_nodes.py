"""The nodes that misbehave on demand; see `infra/comfyui/custom_nodes/comfyq_lab`."""

import asyncio
import os
from typing import Any

from comfyui_simulator.nodes.call import Call, NodeResult
from comfyui_simulator.running.failures import (
    EXIT_STATUS,
    ExecutorDied,
    NodeFailure,
    out_of_memory,
)

FILES = {"missing": "nobody.png", "refused": "two..dots.png", "unnameable": "half\ud800.png"}
LEVELS = 600  # of nesting, which the history cannot be copied with


async def lab_sleep(call: Call) -> NodeResult:
    """Sleep, with progress at each tick."""
    ticks = int(call.inputs["ticks"])
    for tick in range(1, ticks + 1):
        if call.inputs["interruptible"]:
            await call.check()
        await asyncio.sleep(float(call.inputs["seconds"]) / ticks)
        await call.advance(tick, ticks)
    image = call.value("image")
    return NodeResult(image)


async def lab_raise(call: Call) -> NodeResult:
    """Fail in the requested way."""
    kind = call.inputs["kind"]
    if kind == "oom":
        raise out_of_memory("fake OOM: tried to allocate 99.00 GiB")
    if kind in ("sysexit", "keyboard"):
        raise ExecutorDied(kind)
    raise NodeFailure("RuntimeError", "lab: deliberate failure")


async def lab_show(call: Call) -> NodeResult:
    """Show what no client can have."""
    kind = call.inputs["kind"]
    if kind in ("endless", "crash"):
        os._exit(EXIT_STATUS)
    if kind == "nested":
        text: Any = "deep"
        for _ in range(LEVELS):
            text = [text]
        return NodeResult(call.combined(), {"text": [text]})
    shown = {"filename": FILES[kind], "subfolder": "", "type": "output"}
    return NodeResult(call.combined(), {"images": [shown]})
