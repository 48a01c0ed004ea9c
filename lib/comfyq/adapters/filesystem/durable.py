"""Writing files so that they exist whole, or not at all, after a power cut.

Paths are texts in here: making a ``Path`` of each costs more calls than using it.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

TRIES = 20
CHUNK_BYTES = 256 * 1024

Make = Callable[[str], None]
"""Makes a synced file of the given name."""


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace the file ``path`` by what ``write`` writes, making the folders above it."""
    _replace(str(path), partial(_write_synced, write=write))


def replace_by_file(path: str, source: BinaryIO) -> None:
    """Replace the file ``path`` by an open one, making the folders above it.

    The file system gives the same file a second name where it can, so who has it open must not
    write to it any more. Otherwise the file is copied. A file that was not there before need not be
    whole until this returns: nobody refers to it yet.
    """
    if _is_added(path, source.name):
        _sync_added(path, source)
    else:
        _replace(path, partial(_link_synced, source=source))


def _is_added(path: str, source: str) -> bool:
    """Give a file a name that nothing has yet, and make its folder if need be; False if the name is
    taken, or the file system cannot."""
    try:
        return _try_link(path, source)
    except FileNotFoundError:
        make_folder(_folder_of(path))
    try:
        return _try_link(path, source)
    except FileNotFoundError:  # another process has removed the folder just now
        return False


def _sync_added(path: str, source: BinaryIO) -> None:
    """Sync a file with a new name: one commit of the file system's journal has both, where a name
    that takes another's place would need a second one."""
    try:
        os.fsync(source.fileno())
        with suppress(FileNotFoundError):  # another process has deleted it again already
            sync_folder(_folder_of(path))
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(path)
        raise


def _replace(path: str, make: Make) -> None:
    for _ in range(TRIES - 1):
        # Another process that deletes a folder's last file removes the folder, maybe just now.
        try:
            return _replace_once(path, make)
        except FileNotFoundError:
            continue
    return _replace_once(path, make)


def _replace_once(path: str, make: Make) -> None:
    folder = _folder_of(path)
    make_folder(folder)
    temporary = f"{folder}/.{os.urandom(16).hex()}.part"
    try:
        make(temporary)
        os.replace(temporary, path)
    finally:
        # It is still there after an error, and where both are names of one file already.
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    with suppress(FileNotFoundError):  # another process has deleted it again already
        sync_folder(folder)


def make_folder(folder: str) -> None:
    """Make it and what is missing above it; the names are synced like the files."""
    if os.path.isdir(folder):
        return
    above = _folder_of(folder)
    make_folder(above)
    try:
        os.mkdir(folder)
    except FileExistsError:  # another process was faster
        if not os.path.isdir(folder):
            raise
    sync_folder(above)


def _folder_of(path: str) -> str:
    return os.path.dirname(path) or "."


def sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_synced(path: str, write: Callable[[BinaryIO], object]) -> None:
    with open(path, "xb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def _link_synced(path: str, source: BinaryIO) -> None:
    if _try_link(path, source.name):
        os.fsync(source.fileno())
    else:
        source.seek(0)
        _write_synced(path, partial(shutil.copyfileobj, source, length=CHUNK_BYTES))


def _try_link(path: str, source: str) -> bool:
    """Give a file a second name; False if its file system cannot, or the folder is on another."""
    if os.path.islink(source):  # the second name would be the link's
        return False
    try:
        os.link(source, path)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True
