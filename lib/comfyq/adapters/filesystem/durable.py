"""Writing files so that they exist whole, or not at all, after a power cut."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

TRIES = 20


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace the file ``path`` by what ``write`` writes, making the folders above it."""
    for _ in range(TRIES - 1):
        # Another process that deletes a folder's last file removes the folder, maybe just now.
        with suppress(FileNotFoundError):
            return _replace(path, write)
    return _replace(path, write)


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    make_folder(path.parent)
    temporary = path.with_name(f".{uuid4().hex}.part")
    try:
        _write_synced(temporary, write)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with suppress(FileNotFoundError):  # another process has deleted it again already
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make it and what is missing above it; the names are synced like the files."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_synced(path: Path, write: Callable[[BinaryIO], object]) -> None:
    with path.open("xb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
