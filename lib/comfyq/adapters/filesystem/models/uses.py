"""Uses of models: those that are in use, and the time of each one's last use.

Each has a file ``by-sha256/uses/HASH``. Who uses the model has a lock on it, shared with all who
do, which ends with the process; when the file was changed last is when the model was used last.
What ComfyUI has queued outlives a worker that dies: the file has a byte until all uses have ended
as they should, and for LOST_S such a model counts as one in use.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from comfyq.adapters.filesystem.lock import AlreadyHeld, Lock, hold, hold_existing
from comfyq.ports.models.store import PartHeld

LOST_S = 3600.0


class ModelUses:
    """The uses of the models whose files of uses are in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def using(self, sha256: Collection[str]) -> Iterator[None]:
        """Keep models from being deleted while the body runs; raises PartHeld while one is."""
        with ExitStack() as stack:
            for each in sha256:
                stack.enter_context(self._use(each))
            yield

    @contextmanager
    def unused(self, sha256: str) -> Iterator[None]:
        """Let nobody begin to use a model while the body runs; raises PartHeld if somebody does."""
        lock = _held(self._file(sha256), shared=False)
        try:
            yield
        finally:
            lock.release()

    def is_free(self, sha256: str) -> bool:
        """Return whether nobody uses a model, nor did just before its process died."""
        file = self._file(sha256)
        lock = hold_existing(file)
        if lock is None:
            return not file.exists()
        try:
            at = os.fstat(lock.descriptor)
            return at.st_size == 0 or self._now_s() - at.st_mtime > LOST_S
        finally:
            lock.release()

    def last_s(self, sha256: str) -> float:
        """Return when a model was used last; 0 if nobody knows."""
        try:
            return self._file(sha256).stat().st_mtime
        except OSError:
            return 0.0

    def forget(self, sha256: str) -> None:
        """Delete what is known of the uses of a model that is deleted, and is ``unused``."""
        self._file(sha256).unlink(missing_ok=True)

    @contextmanager
    def _use(self, sha256: str) -> Iterator[None]:
        lock = _held(self._file(sha256), shared=True)
        try:
            self._note(lock.descriptor, in_use=True)
            yield
        finally:
            self._note(lock.descriptor, in_use=not lock.is_alone())
            lock.release()

    def _note(self, descriptor: int, *, in_use: bool) -> None:
        with suppress(OSError):  # the file is another user's: who may write it notes it
            os.ftruncate(descriptor, int(in_use))  # a full disk takes it: a hole has no block
            os.utime(descriptor)

    def _now_s(self) -> float:
        """Return the time by the clock that dates files, which may be a file server's."""
        os.utime(self._folder)
        return self._folder.stat().st_mtime

    def _file(self, sha256: str) -> Path:
        return self._folder / sha256


def _held(file: Path, *, shared: bool) -> Lock:
    try:
        return hold(file, shared=shared)
    except AlreadyHeld:
        raise PartHeld(file.name) from None
