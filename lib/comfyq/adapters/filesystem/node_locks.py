"""The file ``nodes.lock`` in a workflow's folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from comfyq.adapters.filesystem.lock_files import read_lock_file, write_lock_file
from comfyq.domain.environment.errors import BadNodesLock
from comfyq.domain.environment.lock import LockedNodes, read_lock, written_lock

NAME = "nodes.lock"


def locked_nodes(folder: Path) -> Sequence[LockedNodes]:
    """Return what the lock of a workflow's folder names; nothing if there is none.

    Raises:
        BadNodesLock: it cannot be used; the message begins with the file.
    """
    return read_lock_file(folder / NAME, read_lock, BadNodesLock)


def write_lock(folder: Path, nodes: Iterable[LockedNodes]) -> bool:
    """Write the lock of a workflow's folder, unless it is the same already; return whether it
    changed."""
    return write_lock_file(folder / NAME, written_lock(nodes))
