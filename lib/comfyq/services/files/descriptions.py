"""Descriptions of files that clients send, and of those that are stored."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from comfyq.domain.files.asset import Asset


@dataclass(frozen=True, slots=True)
class Description:
    """A client's description of a file, which may be known only when all of it has arrived."""

    filename: str
    content_type: str
    needed_for: timedelta = timedelta(0)


Describe = Callable[[str], Description]
"""BLAKE3 of a file in hex -> what is said of it; whatever it raises keeps the file from being
stored."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that was sent; ``is_new``: none with the same content was stored before."""

    asset: Asset
    is_new: bool
