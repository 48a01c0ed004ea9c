"""``nodes.lock``: which files each commit of a workflow's custom nodes stands for.

A text of TOML that is the same for the same nodes, whoever writes it: sorted, a key a line.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.domain.environment.custom_nodes import folder_of, read_commit, read_repository
from comfyq.domain.environment.errors import BadNodesLock
from comfyq.domain.suggestions import among

VERSION = 1  # of the format
HEAD = f"""\
# Made by `comfyq images lock` from manifest.toml; keep it with that file, and do not edit it.
version = {VERSION}
"""
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedNodes:
    """A repository of custom nodes at a commit that was seen there."""

    repository: str
    commit: str
    sha256: str  # of the commit's files, as `git archive --format=tar` writes them

    @property
    def folder(self) -> str:
        return folder_of(self.repository)


def written_lock(nodes: Iterable[LockedNodes]) -> str:
    """Write a lock; the order of ``nodes`` makes no difference."""
    ordered = sorted(nodes, key=lambda each: (each.folder, each.repository))
    return "\n".join([HEAD, *map(_table, ordered)])


def read_lock(text: str) -> Sequence[LockedNodes]:
    """Read a lock; raises BadNodesLock, whose message names the entry."""
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as wrong:
        raise BadNodesLock(f"is not TOML: {wrong}") from None
    if content.get("version") != VERSION:
        raise BadNodesLock(
            f"has the version {content.get('version')!r}; this comfyq reads {VERSION}: make it "
            "again by `comfyq images lock`, or update comfyq"
        )
    entries = content.get("nodes", [])
    if not isinstance(entries, list) or content.keys() - {"version", "nodes"}:
        raise BadNodesLock("has more than `version` and a list of tables `nodes`")
    return [_nodes(number, entry) for number, entry in enumerate(entries)]


def _table(nodes: LockedNodes) -> str:
    values = {"repository": nodes.repository, "commit": nodes.commit, "sha256": nodes.sha256}
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
    return f"[[nodes]]\n{''.join(lines)}"


def _nodes(number: int, entry: Any) -> LockedNodes:
    where = f"nodes.{number}"
    if not isinstance(entry, Mapping):
        raise BadNodesLock(f"{where}: must be a table")
    readers = {"repository": read_repository, "commit": read_commit, "sha256": _sha256}
    for key in entry:
        if key not in readers:
            raise BadNodesLock(f"{where}.{key}: there is no such key; {among(key, readers)}")
    values: dict[str, str] = {}
    for key, read in readers.items():
        if key not in entry:
            raise BadNodesLock(f"{where}.{key}: is missing")
        try:
            values[key] = read(entry[key])
        except ValueError as wrong:
            raise BadNodesLock(f"{where}.{key}: {wrong}") from None
    return LockedNodes(**values)


def _sha256(value: object) -> str:
    if not isinstance(value, str) or not SHA256.fullmatch(value):
        raise ValueError("must be a SHA-256 of 64 small hexadecimal digits")
    return value
