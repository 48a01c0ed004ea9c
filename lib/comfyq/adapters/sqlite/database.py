"""One SQLite file that several processes write.

Every write takes a lock on a file beside it before SQLite's own: ``flock`` is fair, while SQLite's
busy handler lets a loaded process starve the others (submit p99 was 104 ms with it, 5 ms without).
``synchronous=FULL`` syncs the log on each commit, so what was acknowledged survives a power cut;
writes with ``synced=False`` are not synced.
"""

import asyncio
import os
import sqlite3
from concurrent.futures import CancelledError, Future
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from comfyq.adapters.sqlite.arrivals import Arrivals
from comfyq.adapters.sqlite.commit import TOGETHER, commit_together
from comfyq.adapters.sqlite.failures import LastWrite, explained
from comfyq.adapters.sqlite.fair_lock import FairLock
from comfyq.adapters.sqlite.inline import Inline
from comfyq.adapters.sqlite.lane import Lane, Work
from comfyq.adapters.sqlite.schema import is_made, make
from comfyq.domain.errors import Unavailable

T = TypeVar("T")

MAX_LOG_BYTES = 16 * 2**20  # that the log keeps on disk once it has been written back


class Unusable(Exception):
    """The file cannot be read or written now; the message names the file and the reason."""


Failing = type[Unusable] | type[Unavailable]
"""What is raised where the file cannot be used; an argument costs no call, a context three."""


class Database:
    """Run functions of a connection without blocking the event loop: in threads, except for reads
    and writes that need not wait.

    The first use makes the file and its folder. Canceling a wait cancels its work if that has not
    begun; work that has begun is finished and committed.
    """

    def __init__(self, *, path: Path, busy_timeout_s: float = 10.0, readers: int = 2) -> None:
        self.path = path
        self.arrivals = Arrivals(path.with_name(f"{path.name}.wake"))
        self.last_write = LastWrite()
        self._busy_timeout_s = busy_timeout_s
        self._lock = FairLock(path.with_name(f"{path.name}.lock"))
        self._writer = Lane(
            name="sqlite-writer",
            threads=1,
            connect=self._connect,
            guard=self._lock.held,
            run=commit_together,
            together=TOGETHER,
        )
        self._inline = Inline(path, guard=partial(self._lock.held, waits=False))
        self._readers = Lane(
            name="sqlite-reader", threads=readers, connect=self._connect, guard=nullcontext
        )

    async def read(self, work: Work[T], *, failing: Failing = Unusable) -> T:
        """Run ``work`` on a consistent snapshot if it is one statement.

        Raises:
            Unusable, or the port's own error that ``failing`` is: the file cannot be read.
        """
        try:
            return self._inline.read(work)
        except sqlite3.Error:
            pass  # busy, not made yet, or broken: a thread waits and explains
        return await self.settled(self._readers.submit(work), failing=failing, is_write=False)

    async def write(self, work: Work[T], *, failing: Failing = Unusable, synced: bool = True) -> T:
        """Run ``work`` as one transaction, which is rolled back if ``work`` raises.

        A committed transaction survives the death of any process and, if ``synced``, a power cut.

        Raises:
            Unusable, or ``failing``: the disk is full, another program holds the file, or it cannot
                be written.
        """
        if not synced:
            try:
                return self.write_at_once(work)
            except (sqlite3.Error, OSError):
                pass  # busy, or broken: a thread waits and explains
        return await self.settled(self.submit(work, synced=synced), failing=failing)

    def write_at_once(self, work: Work[T]) -> T:
        """Do a ``write`` that is not synced on this thread, without waiting.

        Raises:
            sqlite3.Error, OSError: that is not possible now: ``submit`` it.
        """
        result = self._inline.write(work)
        self.last_write.succeed()
        return result

    def submit(self, work: Work[T], *, synced: bool = True) -> Future[T]:
        """Start a ``write``; the future shows its result also after a cancellation of the wait."""
        return self._writer.submit(work, synced=synced)

    async def settled(
        self, future: Future[T], *, failing: Failing = Unusable, is_write: bool = True
    ) -> T:
        """Wait for what ``submit`` returned, as ``write`` does."""
        try:
            result = await self._in_time(future, failing)
        except asyncio.CancelledError:
            if is_write:
                self.last_write.follow(future)
            raise
        except (sqlite3.Error, OSError) as error:
            if is_write:
                self.last_write.note(error)
            raise failing(f"{str(self.path)!r}: {explained(error)}") from error
        if is_write:
            self.last_write.succeed()
        return result

    async def _in_time(self, future: Future[T], failing: Failing) -> T:
        """Wait for work; raises ``failing`` if it has not begun within the time-out."""
        loop = asyncio.get_running_loop()
        waiting = loop.create_future()
        future.add_done_callback(partial(_tell, waiting))
        overdue = loop.call_later(self._busy_timeout_s, future.cancel)  # which begun work ignores
        try:
            await waiting
        except asyncio.CancelledError:
            future.cancel()
            raise
        finally:
            overdue.cancel()
        try:
            return future.result()
        except CancelledError:
            self.last_write.fail("another program holds the database")
            locked = f"{str(self.path)!r} has been locked for {self._busy_timeout_s} s"
            raise failing(locked) from None

    def close(self) -> None:
        """Finish what was submitted and close the file."""
        self.arrivals.close()
        self._inline.close()
        self._writer.close(timeout_s=self._busy_timeout_s)
        self._readers.close(timeout_s=self._busy_timeout_s)

    def _connect(self) -> sqlite3.Connection:
        _make_folder(self.path.parent)
        is_new = not self.path.exists()
        connection = sqlite3.connect(self.path, timeout=self._busy_timeout_s, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA journal_size_limit={MAX_LOG_BYTES}")
            if not is_made(connection):
                self._make(connection)
        except BaseException:
            connection.close()
            raise
        if is_new:
            _sync_folder(self.path.parent)
        return connection

    def _make(self, connection: sqlite3.Connection) -> None:
        # Two processes that switch to WAL at once get "database is locked", whatever the time-out.
        with self._lock.held():
            make(connection)


def _tell(waiting: asyncio.Future[None], _: Future[Any]) -> None:
    """Wake who waits for work that is done, from any thread."""
    with suppress(RuntimeError):  # its event loop has been closed
        waiting.get_loop().call_soon_threadsafe(_wake, waiting)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, durably against a power cut."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
