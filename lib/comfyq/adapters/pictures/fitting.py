"""Bringing pictures to the size that a job wants."""

import io
from typing import Any

from PIL import Image, ImageOps

from comfyq.domain.files.inputs import InputFile

FAST = 1  # zlib's level: the file is read once, on the same machine or near it


def fitted(picture: Image.Image, file: InputFile) -> Image.Image:
    """The picture at the size that ``file`` wants, by its way of fitting."""
    if file.fit == "none" or file.width is None or file.height is None:
        return picture
    size = (file.width, file.height)
    if picture.size == size:
        return picture
    smooth = _smooth(picture)
    match file.fit:
        case "cover":
            return ImageOps.fit(smooth, size, Image.Resampling.LANCZOS)
        case "contain":
            return ImageOps.pad(smooth, size, Image.Resampling.LANCZOS)
        case "center":
            return _centered(smooth, size)


def needs_fit(picture: Image.Image, file: InputFile) -> bool:
    wanted = (file.width, file.height)
    return file.fit != "none" and None not in wanted and picture.size != wanted


def png(picture: Image.Image, **options: Any) -> bytes:
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=FAST, **options)
    return written.getvalue()


def _smooth(picture: Image.Image) -> Image.Image:
    """Convert to a mode whose pixels can be interpolated."""
    if picture.mode == "P":
        return picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    return picture.convert("L") if picture.mode == "1" else picture


def _centered(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Cut what stands out, fill up what is missing; the picture keeps its scale."""
    canvas = Image.new(picture.mode, size)
    left, top = (size[0] - picture.width) // 2, (size[1] - picture.height) // 2
    canvas.paste(picture, (left, top))
    return canvas
