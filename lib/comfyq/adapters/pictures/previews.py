"""Scaling down the previews that ComfyUI sends, by Pillow."""

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from PIL import Image

from comfyq.domain.job.preview import SmallPicture
from comfyq.ports.engine import MAX_PREVIEW_BYTES

FORMATS = ("JPEG", "PNG", "WEBP")
SIDES = (384, 256, 128)  # of the longer side: the first that fits into the bytes
QUALITY = 75
MAX_PIXELS = 16_000_000  # of a preview that is decoded


class PillowPreviews:
    """Previews as JPEG, made one after another in a thread of their own."""

    def __init__(self, *, max_bytes: int = MAX_PREVIEW_BYTES) -> None:
        self._max_bytes = max_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="previews")

    async def scaled(self, image: bytes) -> SmallPicture | None:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(self._scaled, image))

    def _scaled(self, image: bytes) -> SmallPicture | None:
        try:
            with Image.open(io.BytesIO(image), formats=FORMATS) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    return None
                opened.draft("RGB", (SIDES[0], SIDES[0]))  # a JPEG is decoded no larger than that
                return self._fitting(opened.convert("RGB"))
        except Exception:  # decoders raise errors of any type for a broken picture
            return None

    def _fitting(self, picture: Image.Image) -> SmallPicture | None:
        for side in SIDES:
            picture.thumbnail((side, side))
            written = io.BytesIO()
            picture.save(written, "JPEG", quality=QUALITY)
            if written.tell() <= self._max_bytes:
                size = picture.size
                return SmallPicture(written.getvalue(), "image/jpeg", *size)
        return None
