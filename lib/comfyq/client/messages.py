"""Requests and answers as values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfyq.client.shapes import OBJECT, Shape

Json = dict[str, Any]

ENDS = frozenset({"completed", "failed", "canceled"})  # statuses of jobs
READ_S = 40.0  # API Gateway lets a request take 29 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call of the API, or of a link that it gave."""

    method: str
    target: str  # a path below the server's URL; or a link, which is not shown the key
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: Path | bytes | None = None  # the body, instead of ``json``
    repeatable: bool = True  # sent twice, it does what it does once
    read_s: float = READ_S  # the longest silence of an answer
    expects: Shape = OBJECT  # of the JSON of every answer of comfyq

    @property
    def is_link(self) -> bool:
        """Return whether it goes where a link leads, which needs no key."""
        return "://" in self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A server's answer."""

    url: str  # that answered
    status: int
    reason: str
    headers: Mapping[str, str]  # by names in lower case
    content: bytes = b""  # of an answer that is streamed, only if it is no success


def json_of(content: bytes | str) -> Any:
    """Return what JSON says; None: it is none, or nested deeper than anything that we know."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
