"""Pictures that follow from a value: same digest, same pixels; marked as simulated."""

import hashlib
import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from comfyui_simulator.nodes.values import Value
from comfyui_simulator.running.failures import out_of_memory

MARK = "SIMULATED"
CELLS = 8  # a picture is a smooth blow-up of so many random cells a side
SMALLEST_FONT_PX = 10
COMPRESS_LEVEL = 1
PREVIEW_QUALITY = 95
MAX_PIXELS = 100_000_000  # painted at once: a small file may ask for far more


def paint(value: Value, index: int = 0) -> Image.Image:
    """The picture of that index in a batch, `value.width` by `value.height`.

    A picture that was loaded or has one colour is what it is; all others carry the mark. One that
    is too large fails as on a GPU that has no memory for it.
    """
    size = (max(1, value.width), max(1, value.height))
    _require_memory(*size)
    if value.source is not None:
        return _loaded(value.source, size)
    if value.color is not None:
        return Image.new("RGB", size, _rgb(value.color))
    picture = _clouds(f"{value.digest}/{index}").resize(size, Image.Resampling.BICUBIC)
    _draw_mark(picture)
    return picture


def _require_memory(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise out_of_memory(
            f"simulated: a picture of {width} x {height} pixels is over the {MAX_PIXELS} of the "
            "largest that is simulated"
        )


def paint_preview(value: Value, *, step: int, longer_side_px: int) -> bytes:
    """Return a preview of a picture as JPEG."""
    longer = max(value.width, value.height, 1)
    size = tuple(max(1, side * longer_side_px // longer) for side in (value.width, value.height))
    clouds = _clouds(f"{value.digest}/preview/{step}").resize(
        (size[0], size[1]), Image.Resampling.BILINEAR
    )
    buffer = io.BytesIO()
    clouds.save(buffer, "JPEG", quality=PREVIEW_QUALITY)
    return buffer.getvalue()


def encode_png(picture: Image.Image) -> bytes:
    """A PNG without metadata."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=COMPRESS_LEVEL)
    return buffer.getvalue()


def save_png(picture: Image.Image, path: Path, metadata: dict[str, Any]) -> None:
    """Write a PNG with each item of `metadata` as JSON text, as ComfyUI embeds graphs."""
    info = PngInfo()
    for name, item in metadata.items():
        info.add_text(name, json.dumps(item))
    picture.save(path, "PNG", pnginfo=info, compress_level=COMPRESS_LEVEL)


def save_animation(frames: list[Image.Image], path: Path, *, fps: float, format_: str) -> None:
    """Write an animated WEBP or PNG."""
    duration_ms = round(1000 / max(fps, 0.01))
    first, *others = frames
    first.save(path, format_, save_all=True, append_images=others, duration=duration_ms, loop=0)


def _clouds(seed: str) -> Image.Image:
    data = hashlib.shake_256(seed.encode()).digest(CELLS * CELLS * 3)
    return Image.frombytes("RGB", (CELLS, CELLS), data)


def _loaded(path: Path, size: tuple[int, int]) -> Image.Image:
    with Image.open(path) as original:
        picture = original.convert("RGB")
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BILINEAR)


def _rgb(color: int) -> tuple[int, int, int]:
    return (color >> 16) & 0xFF, (color >> 8) & 0xFF, color & 0xFF


def _draw_mark(picture: Image.Image) -> None:
    font = _font(max(SMALLEST_FONT_PX, picture.width // 8))
    center = (picture.width / 2, picture.height / 2)
    draw = ImageDraw.Draw(picture)
    draw.text(
        center, MARK, fill="white", stroke_fill="black", stroke_width=1, font=font, anchor="mm"
    )


@lru_cache(maxsize=16)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)
