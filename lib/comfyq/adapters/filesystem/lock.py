"""A lock on a file, released by the kernel when the process dies, however it dies."""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path("/proc/locks")
PROBE_S = 0.2  # default wait for the lock, since a probe may hold it for an instant


class AlreadyHeld(Exception):
    """Another process, or other code of this one, holds the lock."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A held lock. Without ``release`` it is held until the process ends."""

    descriptor: int

    def release(self) -> None:
        os.close(self.descriptor)

    def is_alone(self) -> bool:
        """Make a shared lock one that is not; False if others hold it, and it may be lost then."""
        return _taken(self.descriptor)


def hold(path: Path, *, wait_s: float = PROBE_S, shared: bool = False) -> Lock:
    """Take the lock on ``path`` and keep it; blocks for up to ``wait_s``. Its holder may delete
    the file, unless the lock is ``shared`` with others that hold it so.

    Raises:
        AlreadyHeld: another holder has it.
    """
    deadline = time.monotonic() + wait_s
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        is_taken = _taken(descriptor, shared=shared)
        if is_taken and _is_named(descriptor, path):
            return Lock(descriptor)
        os.close(descriptor)
        if is_taken:
            continue  # its last holder has deleted it since it was opened
        if time.monotonic() >= deadline:
            raise AlreadyHeld(f"{path} is held by another process")
        time.sleep(PROBE_S / 20)


def hold_existing(path: Path | str) -> Lock | None:
    """Take the lock on an existing file at once; None if it is held, or there is no file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if _taken(descriptor):
        return Lock(descriptor)
    os.close(descriptor)
    return None


def is_held(path: Path) -> bool:
    """Return whether the lock on ``path`` is held now."""
    lock = hold_existing(path)
    if lock is None:
        return path.exists()
    lock.release()
    return False


def holder_of(path: Path | str) -> int | None:
    """Return the process that holds the lock on ``path``; None if none does, or none is told of:
    Linux alone tells of holders, and not of those in another container.

    https://man7.org/linux/man-pages/man5/proc_locks.5.html
    """
    try:
        file = os.stat(path)
        known = LOCKS.read_text().splitlines()
    except OSError:
        return None
    place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    for _number, kind, *_, pid, its, _start, _end in map(str.split, known):
        if kind == "FLOCK" and its == place and int(pid) > 0:
            return int(pid)
    return None


def _is_named(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one that others find at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _taken(descriptor: int, *, shared: bool = False) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
