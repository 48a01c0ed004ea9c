"""Decoding untrusted pictures by Pillow."""

import asyncio
import io
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from comfyq.adapters.pictures.fitting import fitted, needs_fit, png
from comfyq.adapters.pictures.frames import (
    MAX_BYTES,
    PIXEL_BYTES,
    USUAL_COPIES,
    frame_sizes,
    sequence,
)
from comfyq.adapters.pictures.webp import webp_size
from comfyq.domain.errors import InputInvalid
from comfyq.domain.files.inputs import InputFile
from comfyq.domain.files.media_types import HEAD_BYTES
from comfyq.domain.files.picture_sizes import MAX_PIXELS

MadeT = TypeVar("MadeT")
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
READ = f"{', '.join(FORMATS[:-1])} and {FORMATS[-1]} are read"
MAX_TEXT_CHARS = 4_000_000  # in a PNG, compressed: a graph is one of them
DEEP = ("I;16", "I;16B", "I;16L", "I")  # modes of grey pictures with more than 8 bits
COPIES = {"WEBP": 4}  # of a picture while it is decoded; its decoder has two of its own
KEPT_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # that PNG has
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"heif")
NOT_READ: Mapping[str, Callable[[bytes], bool]] = {
    "a HEIC picture": lambda head: head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS,
    "a JPEG XL picture": lambda head: head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    "a Photoshop file": lambda head: head.startswith(b"8BPS"),
    "a PDF file": lambda head: head.startswith(b"%PDF"),
    "a page, drawing or other text": lambda head: head.lstrip().startswith(b"<"),
}


class PillowPictures:
    """Pictures as PNG; what PNG cannot have all of (several frames, deep greys) stays as it is."""

    def __init__(self, *, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        # The memory is one picture's. A thread cannot be stopped: when a job is, the next picture
        # waits until the thread has ended.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    async def prepare(
        self, content: bytes, file: InputFile, *, begins: Callable[[], None] | None = None
    ) -> bytes:
        """As the port says."""
        loop = asyncio.get_running_loop()

        def decoded() -> bytes:
            if begins is not None:
                loop.call_soon_threadsafe(begins)
            return self._prepare(content, file)

        return await loop.run_in_executor(self._thread, decoded)

    async def put_in(self, picture: bytes, mask: bytes) -> bytes:
        """As the port ``Masks`` says."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._masked, picture, mask)

    def _masked(self, picture: bytes, mask: bytes) -> bytes:
        """Give a picture another alpha channel. As in ComfyUI neither is turned upright: the mask
        was painted over the picture's own pixels."""
        sizes = [self._guarded(each, partial(self._size, each)) for each in (mask, picture)]
        if sizes[0] != sizes[1]:
            told = [f"{width} x {height} pixels" for width, height in sizes]
            raise InputInvalid(f"the mask has {told[0]}, and its picture {told[1]}")
        whole, texts = self._guarded(picture, lambda: self._whole(picture))
        over, _ = self._guarded(mask, lambda: self._whole(mask))
        if sum(map(len, texts.values())) > MAX_TEXT_CHARS:
            raise InputInvalid(f"the texts in it have more than {MAX_TEXT_CHARS} characters")
        whole.putalpha(over.getchannel("A"))
        info = PngInfo()
        for name, text in texts.items():
            info.add_text(name, text)
        return png(whole, pnginfo=info)

    def _size(self, content: bytes) -> tuple[int, int]:
        with self._opened(content) as opened:
            return opened.size

    def _whole(self, content: bytes) -> tuple[Image.Image, Mapping[str, str]]:
        """Return the first frame of a picture, with the texts in its file."""
        with self._opened(content) as opened:
            whole = opened.convert("RGBA")
            texts = getattr(opened, "text", {})  # of a PNG, some of them behind its pixels
            return whole, {name: str(text) for name, text in texts.items()}

    def _prepare(self, content: bytes, file: InputFile) -> bytes:
        return self._guarded(content, lambda: self._converted(content, file))

    def _guarded(self, content: bytes, work: Callable[[], MadeT]) -> MadeT:
        """Return what is made of a picture; raises InputInvalid for all that decoders raise."""
        try:
            return work()
        except InputInvalid:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise self._too_many() from None
        except UnidentifiedImageError:
            raise InputInvalid(_unknown(content)) from None
        except Exception as broken:  # decoders raise errors of any type for a broken file
            raise InputInvalid(f"it is no picture that can be read: {broken}"[:300]) from broken

    def _opened(self, content: bytes) -> Image.Image:
        """Open a picture that is not too large; nothing is decoded yet."""
        size = webp_size(content)  # Pillow makes a WebP's canvas when it opens the file
        if size is not None:
            self._check(*size, format="WEBP")
        opened = Image.open(io.BytesIO(content), formats=FORMATS)
        self._check(opened.width, opened.height, format=opened.format or "")
        return opened

    def _converted(self, content: bytes, file: InputFile) -> bytes:
        with self._opened(content) as opened:
            sizes = frame_sizes(opened)
            for width, height in set(sizes):
                self._check(width, height, format=opened.format or "")
            if len(sizes) > 1:
                return sequence(opened, sizes, content, file)
            if opened.mode in DEEP:
                return _deep(opened, content, file)
            return png(fitted(_upright(opened), file))

    def _check(self, width: int, height: int, *, format: str) -> None:
        """Decide before anything is decoded."""
        pixels = width * height
        if pixels > self._max_pixels:
            raise self._too_many()
        if pixels * PIXEL_BYTES * COPIES.get(format, USUAL_COPIES) > MAX_BYTES:
            raise InputInvalid(
                f"a {format} of {width} x {height} pixels takes more than {MAX_BYTES} bytes of "
                "memory; make it smaller, or send a PNG or JPEG"
            )

    def _too_many(self) -> InputInvalid:
        return InputInvalid(f"it has more than {self._max_pixels} pixels")


def _deep(picture: Image.Image, content: bytes, file: InputFile) -> bytes:
    """Return a grey PNG of more than 8 bits as it is, and whatever else as such a PNG, fitted.

    ComfyUI brings it to 8 bits in its own way: greys of 16 bits as its version of Pillow does,
    those of 32 bits divided by 255.
    """
    picture.load()
    if picture.format == "PNG" and not needs_fit(picture, file):
        return content
    whole = ImageOps.exif_transpose(picture)
    if whole.mode == "I":
        return png(fitted(whole.point(lambda value: value * (1 / 255)).convert("L"), file))
    return png(fitted(whole.convert("I"), file).convert("I;16"))


def _unknown(content: bytes) -> str:
    """Say what a file is, where people send it as a picture, and what is read instead."""
    kind = next((name for name, is_it in NOT_READ.items() if is_it(content[:HEAD_BYTES])), None)
    said = "it is no picture of a known format" if kind is None else f"it is {kind}, not read here"
    return f"{said}; {READ}"


def _upright(picture: Image.Image) -> Image.Image:
    """Turn the picture upright by its EXIF orientation, so that ComfyUI need not."""
    picture.load()
    turned = ImageOps.exif_transpose(picture)
    turned.info.pop("exif", None)
    return turned if turned.mode in KEPT_MODES else turned.convert("RGB")
