"""The file ``models.lock`` in a workflow's folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from comfyq.adapters.filesystem.lock_files import read_lock_file, write_lock_file
from comfyq.domain.models.errors import BadModelLock
from comfyq.domain.models.lock import LockedModel, read_lock, written_lock

NAME = "models.lock"


def locked_models(folder: Path) -> Sequence[LockedModel]:
    """Return what the lock of a workflow's folder names; nothing if there is none.

    Raises:
        BadModelLock: it cannot be used; the message begins with the file.
    """
    return read_lock_file(folder / NAME, read_lock, BadModelLock)


def write_lock(folder: Path, models: Iterable[LockedModel]) -> bool:
    """Write the lock of a workflow's folder, unless it is the same already; return whether it
    changed."""
    return write_lock_file(folder / NAME, written_lock(models))
