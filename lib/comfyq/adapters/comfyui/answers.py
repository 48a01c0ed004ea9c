"""ComfyUI's JSON, of which custom nodes write a part: every value may be of any type."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from json.scanner import make_scanner
from typing import Any

from comfyq.domain.graph.json_entries import read_entries

ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
LONE = re.compile(r"\\u[dD][89a-fA-F]")
DECODER = json.JSONDecoder()  # made once
SCAN: Callable[[str, int], tuple[Any, int]] = make_scanner(DECODER)  # type: ignore[arg-type]
TOO_DEEP = "the JSON is nested too deeply"
REPLACEMENT = r"\ufffd"  # as JSON writes it


def parsed(content: bytes | str) -> Any:
    """Parse JSON, with U+FFFD for whatever is not valid Unicode (lone surrogates, broken bytes).

    Raises:
        ValueError: the text is no JSON, or is nested too deeply.
    """
    text = content if isinstance(content, str) else content.decode(errors="replace")
    if LONE.search(text):
        text = _replaced(text)
    try:
        value, end = SCAN(text, 0)  # one call of C, as long as no space surrounds it
        return value if end == len(text) else DECODER.decode(text)
    except StopIteration:
        return DECODER.decode(text)  # which says where it is no JSON
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def parsed_entries(content: bytes) -> dict[str, Any]:
    """Parse a large JSON object as ``parsed`` does, in a thread: entry by entry, so that the event
    loop goes on meanwhile.

    Raises:
        ValueError: the text is no JSON object, or is nested too deeply.
    """
    try:
        return read_entries(_replaced(content.decode(errors="replace")))
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def _replaced(text: str) -> str:
    """Replace lone surrogates, where there are some."""
    if LONE.search(text) is None:
        return text
    return ESCAPE.sub(lambda escape: REPLACEMENT if escape["lone"] else escape[0], text)


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> Sequence[Any]:
    """Return the value if it is a list, otherwise an empty one."""
    return value if isinstance(value, list) else ()
