"""The file ``nodes.lock`` in a workflow's folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from comfyq.adapters.filesystem.durable import replace
from comfyq.domain.environment.errors import BadNodesLock
from comfyq.domain.environment.lock import LockedNodes, read_lock, written_lock

NAME = "nodes.lock"


def locked_nodes(folder: Path) -> Sequence[LockedNodes]:
    """Return what the lock of a workflow's folder names; nothing if there is none.

    Raises:
        BadNodesLock: it cannot be used; the message begins with the file.
    """
    file = folder / NAME
    try:
        return read_lock(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise BadNodesLock(f"{file}: is not UTF-8") from None
    except OSError as wrong:
        raise BadNodesLock(f"{file}: cannot be read: {wrong.strerror}") from None
    except BadNodesLock as wrong:
        raise BadNodesLock(f"{file}: {wrong}") from None


def write_lock(folder: Path, nodes: Iterable[LockedNodes]) -> bool:
    """Write the lock of a workflow's folder, unless it is the same already; return whether it
    changed."""
    file, text = folder / NAME, written_lock(nodes).encode()
    try:
        if file.read_bytes() == text:
            return False
    except OSError:
        pass  # it is to be made
    replace(file, lambda written: written.write(text))
    return True
