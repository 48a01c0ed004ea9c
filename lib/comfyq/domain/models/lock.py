"""``models.lock``: which bytes each source of a workflow's models stands for.

A text of TOML that is the same for the same models, whoever writes it: sorted, a key a line.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.domain.models.errors import BadModelLock
from comfyq.domain.models.source import ModelSource, model_path, read_source
from comfyq.domain.suggestions import among

VERSION = 1  # of the format
HEAD = f"""\
# Made by `comfyq models lock` from manifest.toml; keep it with that file, and do not edit it.
version = {VERSION}
"""
SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedModel:
    """A file of ComfyUI's models, with the hash of its bytes."""

    folder: str  # below ComfyUI's ``models``
    file: str  # below that folder, as the graph names it
    source: ModelSource
    sha256: str  # 64 digits, small
    size: int  # bytes
    commit: str | None = None  # of a repository, which the source's revision was

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.file}"


def written_lock(models: Iterable[LockedModel]) -> str:
    """Write a lock; the order of ``models`` makes no difference."""
    ordered = sorted(models, key=lambda model: (model.folder, model.file))
    return "\n".join([HEAD, *map(_table, ordered)])


def read_lock(text: str) -> Sequence[LockedModel]:
    """Read a lock; raises BadModelLock, whose message names the entry."""
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as wrong:
        raise BadModelLock(f"is not TOML: {wrong}") from None
    if content.get("version") != VERSION:
        raise BadModelLock(
            f"has the version {content.get('version')!r}; this comfyq reads {VERSION}: make it "
            "again by `comfyq models lock`, or update comfyq"
        )
    entries = content.get("models", [])
    if not isinstance(entries, list) or content.keys() - {"version", "models"}:
        raise BadModelLock("has more than `version` and a list of tables `models`")
    models = [_model(number, entry) for number, entry in enumerate(entries)]
    if len({model.path for model in models}) < len(models):
        raise BadModelLock("has two entries for one file")
    return models


def values_of(model: LockedModel) -> Mapping[str, Any]:
    """Return a locked model as the values that ``model_of`` reads."""
    values = {
        "folder": model.folder,
        "file": model.file,
        "source": str(model.source),
        "commit": model.commit,
        "sha256": model.sha256,
        "size": model.size,
    }
    return {key: value for key, value in values.items() if value is not None}


def model_of(values: Mapping[str, Any]) -> LockedModel:
    """Read what ``values_of`` wrote; raises BadModelLock."""
    return _model(0, values)


def _table(model: LockedModel) -> str:
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n"
        for key, value in values_of(model).items()
    ]
    return f"[[models]]\n{''.join(lines)}"


def _model(number: int, entry: Any) -> LockedModel:
    where = f"models.{number}"
    if not isinstance(entry, Mapping):
        raise BadModelLock(f"{where}: must be a table")
    for key in entry:
        if key not in _readers():
            raise BadModelLock(f"{where}.{key}: there is no such key; {among(key, _readers())}")
    values: dict[str, Any] = {}
    for key, read in _readers().items():
        if key == "commit" and key not in entry:
            continue
        if key not in entry:
            raise BadModelLock(f"{where}.{key}: is missing")
        try:
            values[key] = read(entry[key])
        except ValueError as wrong:
            raise BadModelLock(f"{where}.{key}: {wrong}") from None
    return LockedModel(**values)


def _readers() -> Mapping[str, Callable[[Any], Any]]:
    return {
        "folder": model_path,
        "file": model_path,
        "source": read_source,
        "commit": _commit,
        "sha256": _sha256,
        "size": _size,
    }


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or not SHA256.fullmatch(value):
        raise ValueError("must be a SHA-256 of 64 small hexadecimal digits")
    return value


def _commit(value: Any) -> str:
    if not isinstance(value, str) or not COMMIT.fullmatch(value):
        raise ValueError("must be a commit of 40 small hexadecimal digits")
    return value


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("must be a number of bytes, at least 1")
    return value
