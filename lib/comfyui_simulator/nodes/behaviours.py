"""The behaviour of node classes that do more than pass a value on.

A class that is not in `BEHAVIOURS` combines the sizes of its inputs at once (`values.combined`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from comfyui_simulator.messages import Preview
from comfyui_simulator.nodes import pictures
from comfyui_simulator.nodes.call import Call, NodeResult
from comfyui_simulator.nodes.lab_nodes import lab_raise, lab_show, lab_sleep
from comfyui_simulator.nodes.output_nodes import SAVING
from comfyui_simulator.nodes.values import Value
from comfyui_simulator.storage import Storage

Habit = Callable[[Call], Awaitable[NodeResult]]

UNKNOWN_FACTOR = 4  # of an upscale model whose name has no factor


async def combine(call: Call) -> NodeResult:
    """Any other node."""
    return NodeResult(call.combined())


async def load_model(call: Call) -> NodeResult:
    """Loaders take their time."""
    if call.context.settings.load_s:
        await asyncio.sleep(call.context.settings.load_s)
        await call.check()
    return await combine(call)


async def load_file(call: Call) -> NodeResult:
    """Load a file; its digest is of its content, so its name makes no difference."""
    path = _named_file(call.inputs, call.context.storage)
    if path is None:
        raise FileNotFoundError(f"{call.kind.name}: the file is gone")
    value = Value(digest=f"{call.kind.name}/{call.context.storage.content_digest(path)}")
    if call.kind.makes("IMAGE", "MASK"):
        with Image.open(path) as picture:
            value = replace(value, width=picture.width, height=picture.height, source=path)
    return NodeResult(value)


async def sample(call: Call) -> NodeResult:
    """Take the steps of a sampler one after another, each with a preview if a client watches."""
    settings, result = call.context.settings, call.combined()
    total, every = _steps(call), _preview_every_steps(call)
    for step in range(1, total + 1):
        await asyncio.sleep(settings.step_s)
        with_preview = every and step % every == 0
        picture = _preview(result, step, settings.preview_px) if with_preview else None
        await call.advance(step, total, picture)
    call.context.stats.samplings[call.prompt.prompt_id] += 1
    return NodeResult(result)


def _steps(call: Call) -> int:
    if call.kind.name != "KSamplerAdvanced":
        return call.combined().steps
    first, last = call.inputs["start_at_step"], call.inputs["end_at_step"]
    return max(0, min(int(call.inputs["steps"]), int(last)) - int(first))


def _preview_every_steps(call: Call) -> int:
    settings = call.context.settings
    asked = (
        call.prompt.extra_data.get("preview_method") if settings.wire.previews_by_prompt else None
    )
    return 0 if asked == "none" else settings.preview_every_steps


def _preview(value: Value, step: int, px: int) -> Callable[[], Awaitable[Preview]]:
    async def painted() -> Preview:
        encoded = await asyncio.to_thread(
            pictures.paint_preview, value, step=step, longer_side_px=px
        )
        return Preview(encoded, "JPEG")

    return painted


async def empty_image(call: Call) -> NodeResult:
    return NodeResult(replace(call.combined(), color=int(call.inputs["color"])))


async def scale_picture(call: Call) -> NodeResult:
    """Resize a picture; a loaded one keeps its content."""
    image = call.value("image")
    return NodeResult(replace(call.combined(), source=image.source, color=image.color))


async def scale_by(call: Call) -> NodeResult:
    outcome = await (scale_picture if "image" in call.inputs else combine)(call)
    return NodeResult(outcome.value.scaled(float(call.inputs["scale_by"])))


async def scale_to_pixels(call: Call) -> NodeResult:
    outcome = await scale_picture(call)
    area = max(1, outcome.value.width * outcome.value.height)
    wanted = float(call.inputs["megapixels"]) * 1024 * 1024
    return NodeResult(outcome.value.scaled((wanted / area) ** 0.5))


async def load_upscaler(call: Call) -> NodeResult:
    outcome = await load_model(call)
    return NodeResult(replace(outcome.value, factor=_factor(str(call.inputs["model_name"]))))


def _factor(model_name: str) -> int:
    # 4x_foo, foo_x4plus: whatever digit stands beside an x
    for before, here in pairwise(model_name):
        for digit, letter in ((before, here), (here, before)):
            if letter == "x" and digit.isdigit():
                return int(digit)
    return UNKNOWN_FACTOR


async def upscale_with_model(call: Call) -> NodeResult:
    outcome = await scale_picture(call)
    return NodeResult(outcome.value.scaled(call.value("upscale_model").factor))


async def repeat(call: Call) -> NodeResult:
    value = call.combined()
    return NodeResult(replace(value, count=value.count * int(call.inputs["amount"])))


async def join(call: Call) -> NodeResult:
    linked = [value for value in call.inputs.values() if isinstance(value, Value)]
    return NodeResult(replace(call.combined(), count=sum(value.count for value in linked)))


async def primitive(call: Call) -> NodeResult:
    return NodeResult(replace(call.combined(), constants=(call.inputs["value"],)))


async def concatenate(call: Call) -> NodeResult:
    joined = str(call.inputs["delimiter"]).join(
        [str(call.inputs["string_a"]), str(call.inputs["string_b"])]
    )
    return NodeResult(replace(call.combined(), constants=(joined,)))


async def measure(call: Call) -> NodeResult:
    image = call.value("image")
    sizes = (image.width, image.height, image.count)
    return NodeResult(replace(call.combined(), constants=sizes))


def outside(node: Mapping[str, Any], storage: Storage) -> str | None:
    """Return what a result depends on beside the inputs; None: the node always runs."""
    class_type = node["class_type"]
    if class_type in ("LabRaise", "LabShow"):
        return None
    if BEHAVIOURS.get(class_type) is not load_file:
        return ""
    path = _named_file(node.get("inputs", {}), storage)
    return storage.content_digest(path) if path else None


def _named_file(inputs: Mapping[str, Any], storage: Storage) -> Path | None:
    return storage.input_file(str(inputs.get("image", inputs.get("audio"))))


BEHAVIOURS: dict[str, Habit] = {
    **SAVING,
    "EmptyImage": empty_image,
    "GetImageSize": measure,
    "ImageScale": scale_picture,
    "ImageScaleBy": scale_by,
    "ImageScaleToTotalPixels": scale_to_pixels,
    "ImageUpscaleWithModel": upscale_with_model,
    "ImageBatch": join,
    "LatentBatch": join,
    "StringConcatenate": concatenate,
    "LatentUpscaleBy": scale_by,
    "RepeatImageBatch": repeat,
    "RepeatLatentBatch": repeat,
    "UpscaleModelLoader": load_upscaler,
    "LabRaise": lab_raise,
    "LabShow": lab_show,
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
