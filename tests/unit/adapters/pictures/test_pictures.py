"""Pictures of strangers: what is made of them, and what is refused."""

import io
import struct
from typing import Any
from zlib import compress, crc32

import pytest
from PIL import Image, ImageSequence

from comfyq.adapters.pictures import frames as frames_of_pictures
from comfyq.adapters.pictures.pillow import PillowPictures
from comfyq.domain.errors import InputInvalid
from comfyq.domain.files.inputs import Fit, InputFile

pytestmark = pytest.mark.anyio

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)
ORIENTATION = 0x0112


def wanted(fit: Fit = "none", width: int | None = None, height: int | None = None) -> InputFile:
    return InputFile(
        parameter="image",
        node="1",
        input="image",
        kind="image",
        source="asset",
        fit=fit,
        width=width,
        height=height,
    )


def halves(width: int = 40, height: int = 20) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture


def encoded(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


async def prepared(content: bytes, file: InputFile | None = None) -> Image.Image:
    made = Image.open(io.BytesIO(await PillowPictures().prepare(content, file or wanted())))
    assert made.format == "PNG"
    made.load()
    return made


async def test_none_keeps_every_pixel() -> None:
    made = await prepared(encoded(halves()), wanted("none", 8, 8))
    assert made.tobytes() == halves().tobytes()


async def test_cover_fills_the_size_and_cuts() -> None:
    made = await prepared(encoded(halves()), wanted("cover", 10, 10))
    assert made.size == (10, 10)
    assert made.getpixel((0, 5)) == RED
    assert made.getpixel((9, 5)) == BLUE


async def test_contain_shows_all_of_it_on_black() -> None:
    made = await prepared(encoded(halves()), wanted("contain", 20, 20))
    assert made.size == (20, 20)
    assert made.getpixel((10, 0)) == made.getpixel((10, 19)) == BLACK
    assert made.getpixel((2, 10)) == RED
    assert made.getpixel((17, 10)) == BLUE


async def test_center_cuts_or_fills_without_scaling() -> None:
    cut = await prepared(encoded(halves()), wanted("center", 10, 10))
    assert [cut.getpixel((x, 5)) for x in (0, 4, 5, 9)] == [RED, RED, BLUE, BLUE]
    filled = await prepared(encoded(halves()), wanted("center", 60, 20))
    assert [filled.getpixel((x, 5)) for x in (9, 10, 49, 50)] == [BLACK, RED, BLUE, BLACK]


async def test_a_photograph_stands_upright() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the camera was turned: show it by 90 degrees clockwise
    turned = await prepared(encoded(halves(), "JPEG", exif=exif, quality=95))
    assert turned.size == (20, 40)
    assert turned.getexif().get(ORIENTATION, 1) == 1
    top = turned.getpixel((10, 5))
    assert isinstance(top, tuple)
    assert top[0] > 200, "what was on the left is on top"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("fit", ["none", "cover", "contain", "center"])
async def test_every_mode_of_pixels_is_brought_to_size(mode: str, fit: Fit) -> None:
    picture = Image.new(mode, (40, 20))
    made = await prepared(encoded(picture, "TIFF"), wanted(fit, 10, 10))
    assert made.size == ((40, 20) if fit == "none" else (10, 10))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
async def test_the_usual_formats_are_read(format: str) -> None:
    assert (await prepared(encoded(halves(), format))).size == (40, 20)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>no picture</html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        encoded(halves())[:60],
        encoded(halves(), "JPEG")[:200],
        encoded(halves(), "PPM"),
    ],
    ids=["empty", "page", "postscript", "cut", "half a photograph", "a rare format"],
)
async def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(InputInvalid):
        await PillowPictures().prepare(content, wanted())


def bomb(width: int, height: int) -> bytes:
    """A PNG that says how large it is; nothing of it needs to be decoded to refuse it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", compress(bytes(1_000))), (b"IEND", b""))
    written = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc32(name + body))
        for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + written


@pytest.mark.parametrize("size", [(8_001, 8_000), (10_000, 10_000), (60_000, 60_000)])
async def test_a_bomb_is_not_set_off(size: tuple[int, int]) -> None:
    with pytest.raises(InputInvalid, match="pixels"):
        await PillowPictures().prepare(bomb(*size), wanted())


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
async def test_an_animation_keeps_every_frame_and_byte(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, BLUE, BLACK, RED)]
    content = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=50)
    assert await PillowPictures().prepare(content, wanted()) == content
    assert await PillowPictures().prepare(content, wanted("cover", 8, 8)) == content


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
async def test_each_frame_of_an_animation_is_brought_to_size(format: str) -> None:
    frames = [halves(), Image.new("RGB", (40, 20), RED), Image.new("RGB", (40, 20), BLUE)]
    options = {"lossless": True} if format == "WEBP" else {}
    content = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    made = Image.open(io.BytesIO(await PillowPictures().prepare(content, wanted("cover", 10, 10))))
    shown = [each.convert("RGB") for each in ImageSequence.Iterator(made)]
    assert [each.size for each in shown] == [(10, 10)] * 3
    assert [each.getpixel((1, 5)) for each in shown] == [RED, RED, BLUE]


async def test_an_animation_has_its_limits() -> None:
    frames = [Image.new("1", (1, 1), each % 2) for each in range(1_001)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(InputInvalid, match="more than 1000 frames"):
        await PillowPictures().prepare(content, wanted())


def pages(*sizes: tuple[int, int], mode: str = "RGB", color: Any = RED) -> bytes:
    first, *rest = [Image.new(mode, size, color) for size in sizes]
    return encoded(first, "TIFF", save_all=True, append_images=rest)


async def test_pages_of_another_size_are_left_out_as_comfyui_leaves_them_out() -> None:
    content = pages((8, 8), (4, 4), (8, 8))
    assert await PillowPictures().prepare(content, wanted()) == content
    made = Image.open(io.BytesIO(await PillowPictures().prepare(content, wanted("cover", 2, 2))))
    assert (made.size, getattr(made, "n_frames", 1)) == ((2, 2), 2)


async def test_pages_of_deep_greys_are_read_as_comfyui_reads_them() -> None:
    content = pages((4, 4), (4, 4), mode="I", color=32_768)
    made = Image.open(io.BytesIO(await PillowPictures().prepare(content, wanted("cover", 2, 2))))
    shown = [each.convert("RGB").getpixel((0, 0)) for each in ImageSequence.Iterator(made)]
    assert shown == [(128, 128, 128)] * 2


async def test_a_page_that_is_too_large_is_refused() -> None:
    pictures = PillowPictures(max_pixels=100)
    with pytest.raises(InputInvalid, match="more than 100 pixels"):
        await pictures.prepare(pages((8, 8), (80, 80)), wanted())


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [("MAX_FRAMES", 3, "more than 3 frames"), ("MAX_LISTING_S", -1, "could not be listed")],
)
async def test_more_pages_than_are_taken_are_refused(
    limit: str, value: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames_of_pictures, limit, value)
    with pytest.raises(InputInvalid, match=words):
        await PillowPictures().prepare(pages(*[(1, 1)] * 4), wanted())


async def test_an_avif_sequence_keeps_every_frame() -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in (RED, BLUE, BLACK)]
    content = encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:])
    made = Image.open(io.BytesIO(await PillowPictures().prepare(content, wanted())))
    assert (made.format, getattr(made, "n_frames", 1)) == ("PNG", 3)


GREYS = [0, 255, 256, 1_000, 32_768, 65_535]


def deep_grey() -> bytes:
    """A PNG of 16 bits, six pixels wide and two high."""
    picture = Image.new("I;16", (6, 2))
    for x, grey in enumerate(GREYS):
        for y in range(2):
            picture.putpixel((x, y), grey)
    return encoded(picture)


async def test_a_deep_grey_arrives_as_it_is() -> None:
    assert await PillowPictures().prepare(deep_grey(), wanted()) == deep_grey()


async def test_and_keeps_its_depth_when_it_is_brought_to_size() -> None:
    made = await prepared(deep_grey(), wanted("center", 6, 4))
    assert made.mode == "I;16"
    assert [made.getpixel((x, 2)) for x in range(6)] == GREYS
    assert (await prepared(deep_grey(), wanted("cover", 3, 3))).mode == "I;16"


async def test_greys_of_32_bits_are_read_as_comfyui_reads_them() -> None:
    picture = Image.new("I", (1, 1), 32_768)
    made = await prepared(encoded(picture, "TIFF"))
    assert made.convert("RGB").getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "a HEIC picture"),
        (b"\xff\x0a" + bytes(20), "a JPEG XL picture"),
        (b"%PDF-1.7 and so on", "a PDF file"),
        (b" <svg xmlns='x'/>", "a page, drawing"),
        (b"nothing that anybody knows", "no picture of a known format"),
    ],
)
async def test_what_is_not_read_is_named_with_what_is(content: bytes, kind: str) -> None:
    with pytest.raises(InputInvalid) as raised:
        await PillowPictures().prepare(content, wanted())
    assert kind in str(raised.value)
    assert "PNG, JPEG, WEBP, GIF, BMP, TIFF and AVIF are read" in str(raised.value)
    assert "object" not in str(raised.value)
