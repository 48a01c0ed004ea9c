"""Labels: names and values that a client gives its jobs, to find them by.

They say nothing about what a job makes, so they are no part of the key of its results.
"""

import re
from collections.abc import Mapping
from typing import Any

Labels = Mapping[str, str]

MAX_LABELS = 8  # each is an entry of an index, written with the job, and is in the job's own item
MAX_NAME_CHARS = 32
MAX_VALUE_CHARS = 64
NAME_PATTERN = f"[A-Za-z0-9][A-Za-z0-9._/-]{{0,{MAX_NAME_CHARS - 1}}}"
CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029"  # and lone surrogates, which no store keeps
NAME = re.compile(NAME_PATTERN)
VALUE = re.compile(rf"[^{CONTROLS}\ud800-\udfff]{{1,{MAX_VALUE_CHARS}}}")


def labels_of(value: Any) -> dict[str, str]:
    """Return ``value`` as labels; raises ValueError, whose message says what is wrong where."""
    if not isinstance(value, Mapping):
        raise ValueError("must be an object of texts by name")
    if len(value) > MAX_LABELS:
        raise ValueError(f"has {len(value)} labels; a job has at most {MAX_LABELS}")
    return dict(sorted(_label(name, text) for name, text in value.items()))


def label_of(text: str) -> tuple[str, str]:
    """Return the label that is written as ``name=value``; raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text[:70]!r} is no label; write NAME=VALUE")
    return _label(name, value)


def _label(name: Any, value: Any) -> tuple[str, str]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"{str(name)[:40]!r} is no name of a label: it has 1 to {MAX_NAME_CHARS} of letters, "
            "digits, `.`, `_`, `/` and `-`, and begins with a letter or digit"
        )
    if not isinstance(value, str) or not VALUE.fullmatch(value):
        raise ValueError(
            f"the value of {name!r} must be a text of 1 to {MAX_VALUE_CHARS} characters, "
            "none of them a control character"
        )
    return name, value
