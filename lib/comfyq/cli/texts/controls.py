"""Characters by which a text would steer the terminal, not be read in it."""

import re

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def visible(text: str) -> str:
    """Return a text of somebody else's with its control characters written out, as ``\\x1b``.

    https://cwe.mitre.org/data/definitions/150.html
    """
    return CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
