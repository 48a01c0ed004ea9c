"""The file ``models.lock`` in a workflow's folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from comfyq.adapters.filesystem.durable import replace
from comfyq.domain.models.errors import BadModelLock
from comfyq.domain.models.lock import LockedModel, read_lock, written_lock

NAME = "models.lock"


def locked_models(folder: Path) -> Sequence[LockedModel]:
    """Return what the lock of a workflow's folder names; nothing if there is none.

    Raises:
        BadModelLock: it cannot be used; the message begins with the file.
    """
    file = folder / NAME
    try:
        return read_lock(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise BadModelLock(f"{file}: is not UTF-8") from None
    except OSError as wrong:
        raise BadModelLock(f"{file}: cannot be read: {wrong.strerror}") from None
    except BadModelLock as wrong:
        raise BadModelLock(f"{file}: {wrong}") from None


def write_lock(folder: Path, models: Iterable[LockedModel]) -> bool:
    """Write the lock of a workflow's folder, unless it is the same already; return whether it
    changed."""
    file, text = folder / NAME, written_lock(models).encode()
    try:
        if file.read_bytes() == text:
            return False
    except OSError:
        pass  # it is to be made
    replace(file, lambda written: written.write(text))
    return True
