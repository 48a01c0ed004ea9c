import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from comfyq.adapters.sqlite.commit import commit_one
from comfyq.adapters.sqlite.lane import Work
from comfyq.adapters.sqlite.schema import is_made

T = TypeVar("T")


class Inline:
    """Read, and write what needs no sync, on the caller's own thread, if that is possible without
    waiting.

    Either takes tens of microseconds, less than a hop to a thread. In WAL mode a read waits for no
    writer. ``guard`` raises an OSError while another thread or process writes.
    """

    def __init__(self, path: Path, *, guard: Callable[[], AbstractContextManager[Any]]) -> None:
        self._path = path
        self._guard = guard
        self._connection: sqlite3.Connection | None = None
        self._using = threading.Lock()  # event loops of several threads may share a database

    def read(self, work: Work[T]) -> T:
        """Run ``work``.

        Raises:
            sqlite3.Error: the read failed, or would have to wait: repeat it on a thread.
        """
        if not self._using.acquire(blocking=False):
            raise sqlite3.OperationalError("another thread uses the connection")
        try:
            return work(self._connection or self._connect())
        except sqlite3.Error:
            self._disconnect()  # a connection that failed is not used again
            raise
        finally:
            self._using.release()

    def write(self, work: Work[T]) -> T:
        """Run ``work`` as one transaction that is not synced; it is rolled back if ``work`` raises.

        Raises:
            sqlite3.Error, OSError: it failed, or would have to wait: repeat it on a thread.
        """
        with self._guard():
            return self.read(lambda connection: commit_one(connection, work))

    def close(self) -> None:
        with self._using:
            self._disconnect()

    def _connect(self) -> sqlite3.Connection:
        # Opened for reading and writing, as readers of a WAL must, but never made.
        uri = f"{self._path.absolute().as_uri()}?mode=rw"
        connection = self._connection = sqlite3.connect(
            uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False
        )
        # Writing the log back takes syncs: the writer does that.
        connection.execute("PRAGMA wal_autocheckpoint=0")
        # https://www.sqlite.org/pragma.html#pragma_synchronous: of a WAL, NORMAL syncs no commit
        connection.execute("PRAGMA synchronous=NORMAL")
        if not is_made(connection):
            raise sqlite3.OperationalError("its tables are not made yet")
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
