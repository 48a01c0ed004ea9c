"""Locks: files of TOML beside a workflow's manifest, each a list of tables.

A lock is the same text for the same entries, whoever writes it: a key a line.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.domain.suggestions import among

VERSION = 1  # of every kind of lock
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFormat:
    """One kind of lock: its tables, and the keys of each."""

    tables: str  # what they are called
    command: str  # that makes the lock
    error: type[Exception]  # what is raised of a lock that cannot be used
    readers: Mapping[str, Callable[[Any], Any]]  # of each key; ValueError says what is wrong
    optional: frozenset[str] = frozenset()  # keys that may be missing

    def written(self, entries: Iterable[Mapping[str, Any]]) -> str:
        """Write a lock with these entries, in their order."""
        head = (
            f"# Made by `{self.command}` from manifest.toml; keep it with that file, and do not "
            f"edit it.\nversion = {VERSION}\n"
        )
        return "\n".join([head, *map(self._table, entries)])

    def read(self, text: str) -> Sequence[Mapping[str, Any]]:
        """Return the values of each entry; raises ``error``, whose message names the entry."""
        try:
            content = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as wrong:
            raise self.error(f"is not TOML: {wrong}") from None
        if content.get("version") != VERSION:
            raise self.error(
                f"has the version {content.get('version')!r}; this comfyq reads {VERSION}: make it "
                f"again by `{self.command}`, or update comfyq"
            )
        entries = content.get(self.tables, [])
        if not isinstance(entries, list) or content.keys() - {"version", self.tables}:
            raise self.error(f"has more than `version` and a list of tables `{self.tables}`")
        return [self.values(entry, number) for number, entry in enumerate(entries)]

    def values(self, entry: Any, number: int = 0) -> Mapping[str, Any]:
        """Return the values of one entry; raises ``error``."""
        where = f"{self.tables}.{number}"
        if not isinstance(entry, Mapping):
            raise self.error(f"{where}: must be a table")
        for key in entry:
            if key not in self.readers:
                known = among(key, self.readers)
                raise self.error(f"{where}.{key}: there is no such key; {known}")
        values: dict[str, Any] = {}
        for key, read in self.readers.items():
            if key in self.optional and key not in entry:
                continue
            if key not in entry:
                raise self.error(f"{where}.{key}: is missing")
            try:
                values[key] = read(entry[key])
            except ValueError as wrong:
                raise self.error(f"{where}.{key}: {wrong}") from None
        return values

    def _table(self, entry: Mapping[str, Any]) -> str:
        lines = [
            f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in entry.items()
        ]
        return f"[[{self.tables}]]\n{''.join(lines)}"


def sha256_of(value: Any) -> str:
    """Read a SHA-256; raises ValueError."""
    if not isinstance(value, str) or not SHA256.fullmatch(value):
        raise ValueError("must be a SHA-256 of 64 small hexadecimal digits")
    return value
