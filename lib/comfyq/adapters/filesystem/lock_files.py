"""Files of locks in the folders of workflows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from comfyq.adapters.filesystem.durable import replace

EntryT = TypeVar("EntryT")


def read_lock_file(
    file: Path, read: Callable[[str], Sequence[EntryT]], error: type[Exception]
) -> Sequence[EntryT]:
    """Return the entries of a lock, as ``read`` finds them in its text; none if it is not there.

    Raises:
        ``error``: it cannot be used; the message begins with the file.
    """
    try:
        return read(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise error(f"{file}: is not UTF-8") from None
    except OSError as wrong:
        raise error(f"{file}: cannot be read: {wrong.strerror}") from None
    except error as wrong:
        raise error(f"{file}: {wrong}") from None


def write_lock_file(file: Path, text: str) -> bool:
    """Write a lock, unless it is the same already; return whether it changed."""
    content = text.encode()
    try:
        if file.read_bytes() == content:
            return False
    except OSError:
        pass  # it is to be made
    replace(file, lambda written: written.write(content))
    return True
