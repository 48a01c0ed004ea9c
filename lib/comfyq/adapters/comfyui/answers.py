"""ComfyUI's JSON, of which custom nodes write a part: every value may be of any type."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from json.scanner import make_scanner
from typing import Any, TypeVar

from comfyq.domain.graph.json_entries import read_entries

T = TypeVar("T")

ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    r"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
LONE = re.compile(r"\\u[dD][89a-fA-F]")
DECODER = json.JSONDecoder()  # made once
SCAN: Callable[[str, int], tuple[Any, int]] = make_scanner(DECODER)  # type: ignore[arg-type]
REPLACEMENT = r"\ufffd"  # as JSON writes it


def parsed(content: bytes | str) -> Any:
    """Parse JSON, with U+FFFD for whatever is not valid Unicode (lone surrogates, broken bytes).

    Raises:
        ValueError: the text is no JSON, or is nested too deeply.
    """
    return _read(_decoded, content)


def parsed_entries(content: bytes) -> dict[str, Any]:
    """Parse a large JSON object as ``parsed`` does, in a thread: entry by entry, so that the event
    loop goes on meanwhile.

    Raises:
        ValueError: the text is no JSON object, or is nested too deeply.
    """
    return _read(read_entries, content)


def _decoded(text: str) -> Any:
    """Decode JSON in one call of C, as long as no space surrounds it."""
    try:
        value, end = SCAN(text, 0)
    except StopIteration:
        return DECODER.decode(text)  # which says where it is no JSON
    return value if end == len(text) else DECODER.decode(text)


def _read(read: Callable[[str], T], content: bytes | str) -> T:
    text = content.decode(errors="replace") if isinstance(content, bytes) else content
    if LONE.search(text):
        text = ESCAPE.sub(lambda escape: REPLACEMENT if escape["lone"] else escape[0], text)
    try:
        return read(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def mapping(value: object) -> Mapping[str, Any]:
    """Return the value if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> Sequence[Any]:
    """Return the value if it is a list, otherwise an empty one."""
    return value if isinstance(value, list) else ()
