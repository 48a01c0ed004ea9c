"""Pictures that are too much to decode are refused by what they declare, before they are."""

import asyncio
import io
import struct
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from comfyq.adapters.pictures.pillow import PillowPictures
from comfyq.adapters.pictures.webp import webp_size
from comfyq.domain.errors import InputInvalid
from comfyq.domain.files.inputs import InputFile

pytestmark = pytest.mark.anyio

FILE = InputFile(parameter="image", node="1", input="image", kind="image", source="asset")


def riff(kind: bytes, data: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def extended(width: int, height: int) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff(b"VP8X", bytes(4) + sizes)


def lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return riff(b"VP8L", b"\x2f" + struct.pack("<I", bits) + bytes(5))


def lossy(width: int, height: int) -> bytes:
    return riff(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height))


@pytest.fixture
def _undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr(Image, "open", opened)


@pytest.mark.usefixtures("_undecoded")
@pytest.mark.parametrize("make", [extended, lossless, lossy])
@pytest.mark.parametrize("side", [16_383, 7_000])  # too many pixels, and too much memory
async def test_a_large_webp_is_not_opened(make: Any, side: int) -> None:
    with pytest.raises(InputInvalid, match=r"more than \d+ (pixels|bytes of memory)"):
        await PillowPictures().prepare(make(side, side), FILE)


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"save_all": True}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_size_of_a_webp_is_what_pillow_says(mode: str, options: dict[str, Any]) -> None:
    written = io.BytesIO()
    frames = [Image.new(mode, (300, 7), color) for color in ("red", "blue")]
    more = {"append_images": frames[1:]} if "save_all" in options else {}
    frames[0].save(written, "WEBP", **options, **more)
    assert webp_size(written.getvalue()) == (300, 7)


@pytest.mark.parametrize("content", [b"", b"RIFF", extended(9, 9)[:25], b"\x89PNG" * 10])
def test_what_is_no_webp_has_no_size(content: bytes) -> None:
    assert webp_size(content) is None


async def test_an_animation_is_refused_by_the_size_that_it_is_to_have() -> None:
    frames = [Image.new("1", (2, 2), each % 2) for each in range(40)]
    written = io.BytesIO()
    frames[0].save(written, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(InputInvalid, match="40 frames, which are to be 2048 x 2048"):
        await PillowPictures().prepare(
            written.getvalue(), replace(FILE, fit="cover", width=2_048, height=2_048)
        )


async def test_one_picture_is_decoded_at_a_time_even_if_its_job_has_been_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that decodes a stopped job's picture goes on, and has the memory still."""
    may_end, begun, decoded = threading.Event(), asyncio.Event(), list[tuple[bytes, bool]]()

    def slow(self: PillowPictures, content: bytes, file: InputFile) -> bytes:
        decoded.append((content, may_end.is_set()))
        may_end.wait(10)
        return content

    monkeypatch.setattr(PillowPictures, "_prepare", slow)
    pictures = PillowPictures()
    stopped = asyncio.create_task(pictures.prepare(b"stopped", FILE, begins=begun.set))
    await begun.wait()
    stopped.cancel()
    begun.clear()
    following = asyncio.create_task(pictures.prepare(b"following", FILE, begins=begun.set))
    with suppress(TimeoutError):
        await asyncio.wait_for(begun.wait(), 0.05)  # it does not begin
    may_end.set()
    assert await following == b"following"
    assert begun.is_set()
    assert decoded == [(b"stopped", False), (b"following", True)]
