"""``models.lock``: which bytes each source of a workflow's models stands for."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.domain.lock_format import LockFormat, sha256_of
from comfyq.domain.models.errors import BadModelLock
from comfyq.domain.models.source import ModelSource, model_path, read_source

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
    return FORMAT.written(map(values_of, ordered))


def read_lock(text: str) -> Sequence[LockedModel]:
    """Read a lock; raises BadModelLock, whose message names the entry."""
    models = [LockedModel(**values) for values in FORMAT.read(text)]
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
    return LockedModel(**FORMAT.values(values))


def _commit(value: Any) -> str:
    if not isinstance(value, str) or not COMMIT.fullmatch(value):
        raise ValueError("must be a commit of 40 small hexadecimal digits")
    return value


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("must be a number of bytes, at least 1")
    return value


FORMAT = LockFormat(
    tables="models",
    command="comfyq models lock",
    error=BadModelLock,
    readers={
        "folder": model_path,
        "file": model_path,
        "source": read_source,
        "commit": _commit,
        "sha256": sha256_of,
        "size": _size,
    },
    optional=frozenset({"commit"}),
)
