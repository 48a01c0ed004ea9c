import io
import random

import pytest
from PIL import Image

from comfyq.adapters.pictures.previews import PillowPreviews
from comfyq.ports.engine import MAX_PREVIEW_BYTES

pytestmark = pytest.mark.anyio


def encoded(picture: Image.Image, format: str) -> bytes:
    written = io.BytesIO()
    picture.save(written, format)
    return written.getvalue()


def noise(side: int) -> Image.Image:
    """What compresses worst."""
    return Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
async def test_a_preview_fits_into_a_frame(format: str) -> None:
    small = await PillowPreviews().scaled(encoded(noise(512), format))
    assert small is not None
    assert len(small.content) <= MAX_PREVIEW_BYTES
    with Image.open(io.BytesIO(small.content)) as shown:
        assert (shown.format, shown.size) == ("JPEG", (small.width, small.height))
    assert max(small.width, small.height) <= 384


async def test_a_small_preview_keeps_its_size() -> None:
    small = await PillowPreviews().scaled(encoded(Image.new("RGBA", (64, 32)), "PNG"))
    assert small is not None
    assert (small.width, small.height) == (64, 32)


@pytest.mark.parametrize(
    "image", [b"", b"\xff\xd8\xff", encoded(Image.new("RGB", (5_000, 5_000)), "PNG")]
)
async def test_what_cannot_be_read_or_is_too_large_is_none(image: bytes) -> None:
    assert await PillowPreviews().scaled(image) is None


async def test_what_fits_at_no_size_is_none() -> None:
    assert await PillowPreviews(max_bytes=100).scaled(encoded(noise(64), "PNG")) is None
