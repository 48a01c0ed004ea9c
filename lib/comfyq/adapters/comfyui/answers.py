"""ComfyUI's JSON, of which custom nodes write a part: every value may be of any type."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
LONE = re.compile(r"\\u[dD][89a-fA-F]")
REPLACEMENT = r"\ufffd"  # as JSON writes it


def parsed(content: bytes | str) -> Any:
    """Read JSON; what is not Unicode in it (a lone surrogate, a broken byte) becomes U+FFFD.

    Raises:
        ValueError: it is no JSON, or too deep to be read.
    """
    text = content.decode(errors="replace") if isinstance(content, bytes) else content
    if LONE.search(text):
        text = ESCAPE.sub(lambda escape: REPLACEMENT if escape["lone"] else escape[0], text)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> Sequence[Any]:
    """The value where it is a list, otherwise an empty one."""
    return value if isinstance(value, list) else ()
