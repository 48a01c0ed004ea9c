"""What the nodes do that are more than a link in the graph.

Every class that is not in `HABITS` gives out the size of its inputs at once (`values.combined`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from comfyui_simulator import pictures
from comfyui_simulator.calls import Call, Outcome
from comfyui_simulator.failures import ExecutorDied, NodeFailure, out_of_memory
from comfyui_simulator.messages import Preview
from comfyui_simulator.saving import SAVING
from comfyui_simulator.storage import Storage
from comfyui_simulator.values import Value

Habit = Callable[[Call], Awaitable[Outcome]]

UNKNOWN_FACTOR = 4  # of an upscale model whose name does not tell


async def combine(call: Call) -> Outcome:
    """Any other node."""
    return Outcome(call.combined())


async def load_model(call: Call) -> Outcome:
    """Loaders take their time."""
    if call.workshop.settings.load_s:
        await asyncio.sleep(call.workshop.settings.load_s)
        await call.check()
    return await combine(call)


async def load_file(call: Call) -> Outcome:
    """An uploaded file is its content: the same bytes under another name change nothing."""
    path = _named_file(call.inputs, call.workshop.storage)
    if path is None:
        raise FileNotFoundError(f"{call.kind.name}: the file is gone")
    value = Value(digest=f"{call.kind.name}/{call.workshop.storage.content_digest(path)}")
    if call.kind.makes("IMAGE", "MASK"):
        with Image.open(path) as picture:
            value = replace(value, width=picture.width, height=picture.height, source=path)
    return Outcome(value)


async def sample(call: Call) -> Outcome:
    """One announced step after the other, each with a preview if somebody looks."""
    settings, result = call.workshop.settings, call.combined()
    total = _steps(call)
    for step in range(1, total + 1):
        await asyncio.sleep(settings.step_s)
        with_preview = settings.preview_every_steps and step % settings.preview_every_steps == 0
        picture = _preview(result, step, settings.preview_px) if with_preview else None
        await call.advance(step, total, picture)
    call.workshop.stats.samplings[call.prompt.prompt_id] += 1
    return Outcome(result)


def _steps(call: Call) -> int:
    if call.kind.name != "KSamplerAdvanced":
        return call.combined().steps
    first, last = call.inputs["start_at_step"], call.inputs["end_at_step"]
    return max(0, min(int(call.inputs["steps"]), int(last)) - int(first))


def _preview(value: Value, step: int, px: int) -> Callable[[], Awaitable[Preview]]:
    async def painted() -> Preview:
        encoded = await asyncio.to_thread(
            pictures.paint_preview, value, step=step, longer_side_px=px
        )
        return Preview(encoded, "JPEG")

    return painted


async def empty_image(call: Call) -> Outcome:
    return Outcome(replace(call.combined(), color=int(call.inputs["color"])))


async def scale_picture(call: Call) -> Outcome:
    """A picture that was loaded stays what it shows, in another size."""
    image = call.value("image")
    return Outcome(replace(call.combined(), source=image.source, color=image.color))


async def scale_by(call: Call) -> Outcome:
    outcome = await (scale_picture if "image" in call.inputs else combine)(call)
    return Outcome(outcome.value.scaled(float(call.inputs["scale_by"])))


async def scale_to_pixels(call: Call) -> Outcome:
    outcome = await scale_picture(call)
    area = max(1, outcome.value.width * outcome.value.height)
    wanted = float(call.inputs["megapixels"]) * 1024 * 1024
    return Outcome(outcome.value.scaled((wanted / area) ** 0.5))


async def load_upscaler(call: Call) -> Outcome:
    outcome = await load_model(call)
    return Outcome(replace(outcome.value, factor=_factor(str(call.inputs["model_name"]))))


def _factor(model_name: str) -> int:
    # 4x_foo, foo_x4plus: whatever digit stands beside an x
    for before, here in pairwise(model_name):
        for digit, letter in ((before, here), (here, before)):
            if letter == "x" and digit.isdigit():
                return int(digit)
    return UNKNOWN_FACTOR


async def upscale_with_model(call: Call) -> Outcome:
    outcome = await scale_picture(call)
    return Outcome(outcome.value.scaled(call.value("upscale_model").factor))


async def repeat(call: Call) -> Outcome:
    value = call.combined()
    return Outcome(replace(value, count=value.count * int(call.inputs["amount"])))


async def join(call: Call) -> Outcome:
    linked = [value for value in call.inputs.values() if isinstance(value, Value)]
    return Outcome(replace(call.combined(), count=sum(value.count for value in linked)))


async def primitive(call: Call) -> Outcome:
    return Outcome(replace(call.combined(), constants=(call.inputs["value"],)))


async def measure(call: Call) -> Outcome:
    image = call.value("image")
    sizes = (image.width, image.height, image.count)
    return Outcome(replace(call.combined(), constants=sizes))


async def lab_sleep(call: Call) -> Outcome:
    """Takes its time, and says so at each tick."""
    ticks = int(call.inputs["ticks"])
    for tick in range(1, ticks + 1):
        if call.inputs["interruptible"]:
            await call.check()
        await asyncio.sleep(float(call.inputs["seconds"]) / ticks)
        await call.advance(tick, ticks)
    image = call.value("image")
    return Outcome(image)


async def lab_raise(call: Call) -> Outcome:
    """Fails in the way that was asked for."""
    kind = call.inputs["kind"]
    if kind == "oom":
        raise out_of_memory("fake OOM: tried to allocate 99.00 GiB")
    if kind in ("sysexit", "keyboard"):
        raise ExecutorDied(kind)
    raise NodeFailure("RuntimeError", "lab: deliberate failure")


def outside(node: Mapping[str, Any], storage: Storage) -> str | None:
    """What a node's result depends on beside its inputs; None: on chance, so it always runs."""
    class_type = node["class_type"]
    if class_type == "LabRaise":
        return None
    if HABITS.get(class_type) is not load_file:
        return ""
    path = _named_file(node.get("inputs", {}), storage)
    return storage.content_digest(path) if path else None


def _named_file(inputs: Mapping[str, Any], storage: Storage) -> Path | None:
    return storage.input_file(str(inputs.get("image", inputs.get("audio"))))


HABITS: dict[str, Habit] = {
    **SAVING,
    "EmptyImage": empty_image,
    "GetImageSize": measure,
    "ImageScale": scale_picture,
    "ImageScaleBy": scale_by,
    "ImageScaleToTotalPixels": scale_to_pixels,
    "ImageUpscaleWithModel": upscale_with_model,
    "ImageBatch": join,
    "LatentBatch": join,
    "LatentUpscaleBy": scale_by,
    "RepeatImageBatch": repeat,
    "RepeatLatentBatch": repeat,
    "UpscaleModelLoader": load_upscaler,
    "LabRaise": lab_raise,
    "LabSleep": lab_sleep,
    **dict.fromkeys(["KSampler", "KSamplerAdvanced"], sample),
    **dict.fromkeys(["SamplerCustom", "SamplerCustomAdvanced"], sample),
    **dict.fromkeys(["LoadImage", "LoadImageMask", "LoadAudio"], load_file),
    **dict.fromkeys(["PrimitiveInt", "PrimitiveFloat", "PrimitiveBoolean"], primitive),
    **dict.fromkeys(["PrimitiveString", "PrimitiveStringMultiline"], primitive),
    **dict.fromkeys(["CheckpointLoaderSimple", "ImageOnlyCheckpointLoader"], load_model),
    **dict.fromkeys(["UNETLoader", "VAELoader", "ControlNetLoader"], load_model),
    **dict.fromkeys(["LoraLoader", "LoraLoaderModelOnly", "CLIPVisionLoader"], load_model),
    **dict.fromkeys(["CLIPLoader", "DualCLIPLoader"], load_model),
    **dict.fromkeys(["TripleCLIPLoader", "QuadrupleCLIPLoader"], load_model),
}
"""By class. Everything else is `combine`."""
