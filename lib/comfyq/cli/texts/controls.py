"""Characters by which a text would steer the terminal, not be read in it."""

import re

STEERING = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
TURNING = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # the direction of writing
CONTROLS = re.compile(f"[{STEERING}{TURNING}]")


def visible(text: str) -> str:
    """Return a text of somebody else's with its control characters written out, as ``\\x1b``.

    https://cwe.mitre.org/data/definitions/150.html
    """
    return CONTROLS.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
