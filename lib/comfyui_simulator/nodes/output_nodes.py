"""The nodes that show something to clients: files, mostly."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from comfyui_simulator.messages import JsonObject, Preview
from comfyui_simulator.nodes import media, pictures
from comfyui_simulator.nodes.call import Call, NodeResult
from comfyui_simulator.nodes.values import Value
from comfyui_simulator.storage import SavePlan

LONGEST_ANIMATION = 240  # frames painted; a longer one is cut, for time and memory


async def save_image(call: Call) -> NodeResult:
    """PNGs that carry the graph."""
    return await _save_pictures(call, str(call.inputs["filename_prefix"]), "output")


async def preview_image(call: Call) -> NodeResult:
    """The same, in the folder for temporary files."""
    prefix = f"ComfyUI_temp_{call.context.storage.temp_mark}"
    return await _save_pictures(call, prefix, "temp")


async def _save_pictures(call: Call, prefix: str, type_: str) -> NodeResult:
    images = call.value("images")
    plan = _plan(call, prefix, images, count=images.count, type_=type_)
    await asyncio.to_thread(_write_pngs, images, plan, _embedded(call))
    _count(call, images.count)
    shown = [plan.shown(index, ".png") for index in range(images.count)]
    return NodeResult(images, {"images": shown})


def _write_pngs(images: Value, plan: SavePlan, metadata: JsonObject) -> None:
    for index in range(images.count):
        pictures.save_png(pictures.paint(images, index), plan.path(index, ".png"), metadata)


async def save_webp(call: Call) -> NodeResult:
    return await _save_animation(call, suffix=".webp", format_="WEBP")


async def save_apng(call: Call) -> NodeResult:
    return await _save_animation(call, suffix=".png", format_="PNG")


async def _save_animation(call: Call, *, suffix: str, format_: str) -> NodeResult:
    images = call.value("images")
    plan = _plan(call, str(call.inputs["filename_prefix"]), images)
    fps = float(call.inputs["fps"])

    def write() -> None:
        frames = _frames(images)
        pictures.save_animation(frames, plan.path(0, suffix), fps=fps, format_=format_)

    await asyncio.to_thread(write)
    _count(call, images.count)
    return _animated(images, plan, suffix)


def _frames(images: Value) -> list[Image.Image]:
    at_most = pictures.MAX_PIXELS // max(1, images.width * images.height)
    count = min(images.count, LONGEST_ANIMATION, max(1, at_most))
    return [pictures.paint(images, index) for index in range(count)]


async def save_webm(call: Call) -> NodeResult:
    """A placeholder; see `media`."""
    return await _save_video(call, "images", ".webm", media.webm_placeholder())


async def save_video(call: Call) -> NodeResult:
    """A placeholder; see `media`."""
    return await _save_video(call, "video", ".mp4", media.mp4_placeholder())


async def _save_video(call: Call, name: str, suffix: str, content: bytes) -> NodeResult:
    frames = call.value(name)
    plan = _plan(call, str(call.inputs["filename_prefix"]), frames)
    least_bytes = call.context.settings.video_bytes
    await asyncio.to_thread(_write_filled, plan.path(0, suffix), content, least_bytes)
    _count(call, frames.count)
    return _animated(frames, plan, suffix)


def _write_filled(path: Path, content: bytes, least_bytes: int) -> None:
    path.write_bytes(content)
    os.truncate(path, max(least_bytes, len(content)))


def _animated(frames: Value, plan: SavePlan, suffix: str) -> NodeResult:
    return NodeResult(frames, {"images": [plan.shown(0, suffix)], "animated": [True]})


async def save_audio(call: Call) -> NodeResult:
    """FLAC, one file a batch entry."""
    return await _save_audio(call, media.flac_tone, ".flac")


async def save_mp3(call: Call) -> NodeResult:
    return await _save_audio(call, media.mp3_silence, ".mp3")


async def _save_audio(call: Call, made: Callable[[float, str], bytes], suffix: str) -> NodeResult:
    audio = call.value("audio")
    plan = _plan(call, str(call.inputs["filename_prefix"]), audio)
    content = await asyncio.to_thread(made, audio.seconds or 1.0, audio.digest)
    await asyncio.to_thread(plan.path(0, suffix).write_bytes, content)
    _count(call, 1)
    return NodeResult(audio, {"audio": [plan.shown(0, suffix)]})


async def send_image(call: Call) -> NodeResult:
    """Send pictures over the socket only, without storing them."""
    images = call.value("images")
    for index in range(images.count):
        await call.advance(index, images.count, _png(images, index))
    _count(call, images.count)
    return NodeResult(images)


def _png(images: Value, index: int) -> Callable[[], Awaitable[Preview]]:
    async def painted() -> Preview:
        encoded = await asyncio.to_thread(
            lambda: pictures.encode_png(pictures.paint(images, index))
        )
        return Preview(encoded, "PNG")

    return painted


async def preview_any(call: Call) -> NodeResult:
    """Show any input as text."""
    source = call.inputs["source"]
    text = f"simulated {source.digest}" if isinstance(source, Value) else str(source)
    return NodeResult(call.combined(), {"text": [text]})


def _plan(
    call: Call, prefix: str, images: Value, *, count: int = 1, type_: str = "output"
) -> SavePlan:
    size = (images.width, images.height)
    return call.context.storage.plan(prefix, size=size, count=count, type_=type_)


def _embedded(call: Call) -> JsonObject:
    """Collect the metadata of a PNG: the graph, and each entry of the client's `extra_pnginfo`."""
    extra = call.prompt.extra_data.get("extra_pnginfo")
    return {"prompt": call.prompt.graph, **(extra if isinstance(extra, dict) else {})}


def _count(call: Call, count: int) -> None:
    call.context.stats.rendered(call.prompt.prompt_id, count)


SAVING: dict[str, Callable[[Call], Awaitable[NodeResult]]] = {
    "PreviewAny": preview_any,
    "PreviewImage": preview_image,
    "SaveAnimatedPNG": save_apng,
    "SaveAnimatedWEBP": save_webp,
    "SaveAudio": save_audio,
    "SaveAudioMP3": save_mp3,
    "SaveImage": save_image,
    "SaveImageWebsocket": send_image,
    "SaveVideo": save_video,
    "SaveWEBM": save_webm,
}


def files_in(shows: JsonObject) -> Sequence[Any]:
    """The files among what a node shows."""
    lists = [shown for shown in shows.values() if isinstance(shown, list)]
    return [entry for shown in lists for entry in shown if isinstance(entry, dict)]
