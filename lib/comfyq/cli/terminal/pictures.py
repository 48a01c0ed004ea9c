"""Pictures in terminals that can show them, by the protocol of each.

Which one it is, its variables say; a terminal that says nothing gets none.
"""

import base64
import io
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

Draw = Callable[[bytes], str]
"""A JPEG -> the text that shows it at the cursor, ROWS high."""

ROWS = 12
KITTY_CHUNK = 4_096  # characters of base64: the most that one command may have
KITTY_ID = 1  # a picture of the same id takes the place of the one before
SIXEL_SIZE = (360, ROWS * 16)  # pixels; cells of usual fonts are 16 to 20 of them high
SIXEL_COLORS = 64


def drawer(environ: Mapping[str, str]) -> Draw | None:
    """Return how the terminal of these variables shows pictures; None: not at all."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if "TMUX" in environ or term.startswith(("screen", "tmux")):
        return None  # it does not pass them on
    if "KITTY_WINDOW_ID" in environ or term in ("xterm-kitty", "xterm-ghostty"):
        return kitty
    if program in ("iTerm.app", "WezTerm") or environ.get("LC_TERMINAL") == "iTerm2":
        return iterm2
    return sixel if term.startswith(("foot", "mlterm", "contour")) else None


def kitty(jpeg: bytes) -> str:
    """https://sw.kovidgoyal.net/kitty/graphics-protocol/"""
    written = io.BytesIO()
    _opened(jpeg).save(written, "PNG", compress_level=1)  # it reads no JPEG
    data = base64.b64encode(written.getvalue()).decode()
    chunks = [data[at : at + KITTY_CHUNK] for at in range(0, len(data), KITTY_CHUNK)]
    first = f"a=T,f=100,i={KITTY_ID},p=1,r={ROWS},C=1,q=2,"
    last = len(chunks) - 1
    return "".join(
        f"\x1b_G{first if at == 0 else ''}m={int(at < last)};{chunk}\x1b\\"
        for at, chunk in enumerate(chunks)
    )


def iterm2(jpeg: bytes) -> str:
    """https://iterm2.com/documentation-images.html"""
    data = base64.b64encode(jpeg).decode()
    return f"\x1b]1337;File=inline=1;size={len(jpeg)};height={ROWS}:{data}\a"


def sixel(jpeg: bytes) -> str:
    """https://vt100.net/docs/vt3xx-gp/chapter14.html"""
    picture = _opened(jpeg)
    picture.thumbnail(SIXEL_SIZE)
    colored = picture.quantize(SIXEL_COLORS)
    return "".join(_sixel_parts(colored))


def _sixel_parts(picture: "Image.Image") -> Iterator[str]:
    width, height = picture.size
    pixels, palette = picture.tobytes(), picture.getpalette() or []
    yield f'\x1bP0;1;0q"1;1;{width};{height}'
    for color in range(len(palette) // 3):
        red, green, blue = (value * 100 // 255 for value in palette[3 * color : 3 * color + 3])
        yield f"#{color};2;{red};{green};{blue}"
    for top in range(0, height, 6):
        lines = [pixels[y * width : (y + 1) * width] for y in range(top, min(top + 6, height))]
        yield "$".join(_sixel_band(lines)) + "-"
    yield "\x1b\\"


def _sixel_band(lines: list[bytes]) -> Iterator[str]:
    """Yield six lines of a picture, color by color."""
    bands: dict[int, bytearray] = {}
    for row, line in enumerate(lines):
        for column, color in enumerate(line):
            if color not in bands:
                bands[color] = bytearray(len(line))
            bands[color][column] |= 1 << row
    for color, band in bands.items():
        runs = ((chr(63 + bits), len(list(run))) for bits, run in groupby(band))
        yield f"#{color}" + "".join(f"!{count}{sign}" for sign, count in runs)


def _opened(jpeg: bytes) -> "Image.Image":
    from PIL import Image  # most commands show no picture

    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as opened:
        return opened.convert("RGB")
