"""Previews in a terminal, read back from what is written to it."""

import base64
import io
import re
from collections.abc import Mapping

import pytest
from PIL import Image
from rich.console import Console

from comfyq.cli.terminal.canvas import Canvas
from comfyq.cli.terminal.pictures import ROWS, drawer, iterm2, kitty, sixel


def jpeg(width: int = 60, height: int = 40) -> bytes:
    """Left red, right blue."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("blue", (width // 2, 0, width, height))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=95)
    return written.getvalue()


def is_red_then_blue(picture: Image.Image) -> bool:
    width, height = picture.size
    left, right = (picture.getpixel((at, height // 2)) for at in (width // 8, width - width // 8))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    return left[0] > 200 > 60 > left[2] and right[2] > 200 > 60 > right[0]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-kitty"}, kitty),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, kitty),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, iterm2),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, iterm2),
        ({"TERM": "foot"}, sixel),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/tmux", "KITTY_WINDOW_ID": "1"}, None),
        ({}, None),
    ],
)
def test_a_terminal_says_what_it_can_show(environ: Mapping[str, str], expected: object) -> None:
    assert drawer(environ) is expected


def test_kitty_is_sent_a_png_in_pieces() -> None:
    written = kitty(jpeg(400, 300))
    commands = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", written)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in commands) == written
    assert f"r={ROWS}" in commands[0][0]
    assert {keys[-3:] for keys, _ in commands[:-1]} <= {"m=1"}
    assert commands[-1][0].endswith("m=0")
    assert all(len(data) <= 4_096 for _, data in commands)
    with Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in commands)))) as shown:
        assert shown.format == "PNG"
        assert is_red_then_blue(shown.convert("RGB"))


def test_iterm2_is_sent_the_file() -> None:
    image = jpeg()
    keys, data = iterm2(image).removeprefix("\x1b]1337;File=").removesuffix("\a").split(":")
    assert base64.b64decode(data) == image
    assert f"height={ROWS}" in keys


def test_sixel_draws_the_picture() -> None:
    assert is_red_then_blue(read_sixel(sixel(jpeg(60, 40))))
    assert read_sixel(sixel(jpeg(2_000, 1_000))).width == 360


def read_sixel(written: str) -> Image.Image:
    """Return the picture that a terminal would show."""
    head = re.match(r'\x1bP0;1;0q"1;1;(\d+);(\d+)', written)
    assert head is not None
    picture = Image.new("RGB", (int(head[1]), int(head[2])), "white")
    palette = {
        name: tuple(int(share) * 255 // 100 for share in shares)
        for name, *shares in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", written)
    }
    body = re.sub(r"#\d+;2;\d+;\d+;\d+", "", written[head.end() :].removesuffix("\x1b\\"))
    for band, lines in enumerate(body.removesuffix("-").split("-")):
        for name, runs in re.findall(r"#(\d+)([^#$]+)", lines):
            signs = "".join(int(count) * sign for count, sign in re.findall(r"!(\d+)(.)", runs))
            for x, sign in enumerate(signs):
                for row in (row for row in range(6) if ord(sign) - 63 >> row & 1):
                    picture.putpixel((x, 6 * band + row), palette[name])
    return picture


def test_each_preview_takes_the_place_of_the_one_before() -> None:
    out = io.StringIO()
    canvas = Canvas(Console(file=out, height=40, width=80), lambda image: image.decode())
    for name in ("one", "two"):
        canvas.show({"data": base64.b64encode(name.encode()).decode()})
    place = f"\x1b7\x1b[{ROWS}A\r"
    assert out.getvalue() == "\n" * ROWS + f"{place}one\x1b8{place}two\x1b8"
    canvas.leave()
    canvas.show({"data": base64.b64encode(b"three").decode()})
    assert out.getvalue().endswith("\n" * ROWS + f"{place}three\x1b8")


def test_a_low_terminal_shows_none() -> None:
    out = io.StringIO()
    Canvas(Console(file=out, height=ROWS, width=80), lambda image: "x").show({"data": ""})
    assert out.getvalue() == ""


def test_a_preview_that_is_no_picture_is_left_out() -> None:
    out = io.StringIO()
    canvas = Canvas(Console(file=out, height=40, width=80), sixel)
    for data in (base64.b64encode(b"no picture").decode(), "no base64", ""):
        canvas.show({"data": data})
    assert out.getvalue() == ""
