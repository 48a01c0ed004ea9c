"""Decoding untrusted pictures by Pillow."""

import io

from anyio import to_thread
from PIL import Image, ImageOps

from comfyq.domain.errors import InputInvalid
from comfyq.domain.files.inputs import InputFile

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
MAX_PIXELS = 64_000_000  # 8000 x 8000; decoded, 256 MB
KEPT_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # that PNG has
FAST = 1  # zlib's level: the file is read once, on the same machine or near it


class PillowPictures:
    """The first frame of a picture, as PNG."""

    def __init__(self, *, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels

    async def prepare(self, content: bytes, file: InputFile) -> bytes:
        """As the port says."""
        return await to_thread.run_sync(self._prepare, content, file)

    def _prepare(self, content: bytes, file: InputFile) -> bytes:
        try:
            return self._converted(content, file)
        except InputInvalid:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise self._too_many() from None
        except Exception as broken:  # decoders raise errors of any type for a broken file
            raise InputInvalid(f"it is no picture that can be read: {broken}"[:300]) from broken

    def _converted(self, content: bytes, file: InputFile) -> bytes:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            if opened.width * opened.height > self._max_pixels:  # before anything is decoded
                raise self._too_many()
            picture = fitted(_upright(opened), file)
        written = io.BytesIO()
        picture.save(written, "PNG", compress_level=FAST)
        return written.getvalue()

    def _too_many(self) -> InputInvalid:
        return InputInvalid(f"it has more than {self._max_pixels} pixels")


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


def _upright(picture: Image.Image) -> Image.Image:
    """Turn the picture upright by its EXIF orientation, so that ComfyUI need not."""
    picture.load()
    turned = ImageOps.exif_transpose(picture)
    turned.info.pop("exif", None)
    return turned if turned.mode in KEPT_MODES else turned.convert("RGB")


def _smooth(picture: Image.Image) -> Image.Image:
    """Convert to a mode whose pixels can be interpolated."""
    if picture.mode == "P":
        return picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    return picture.convert("L") if picture.mode in ("1", "I;16") else picture


def _centered(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Cut what stands out, fill up what is missing; the picture keeps its scale."""
    canvas = Image.new(picture.mode, size)
    left, top = (size[0] - picture.width) // 2, (size[1] - picture.height) // 2
    canvas.paste(picture, (left, top))
    return canvas
