import fcntl
import os
from pathlib import Path


class FairLock:
    """An exclusive lock between processes, served in the order of asking."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def held(self, *, waits: bool = True) -> "Held":
        """Hold the lock in the body; raises BlockingIOError if it ``waits`` for nobody and another
        holds it."""
        return Held(self._path, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)


class Held:
    """The lock, held in the body of one ``with``."""

    def __init__(self, path: str, operation: int) -> None:
        self._path = path
        self._operation = operation

    def __enter__(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, self._operation)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
