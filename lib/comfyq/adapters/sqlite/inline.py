import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from comfyq.adapters.sqlite.schema import is_made

T = TypeVar("T")


class InlineReader:
    """Read on the caller's own thread, if that is possible without waiting.

    A read of one statement takes tens of microseconds, less than a hop to a thread. In WAL mode it
    waits for no writer; if SQLite would have to wait, the read is refused at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._using = threading.Lock()  # event loops of several threads may share a database

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work``.

        Raises:
            sqlite3.Error: the read failed, or would have to wait: repeat it on a thread.
        """
        if not self._using.acquire(blocking=False):
            raise sqlite3.OperationalError("another thread reads")
        try:
            return work(self._connected())
        except sqlite3.Error:
            self._disconnect()  # a connection that failed is not used again
            raise
        finally:
            self._using.release()

    def close(self) -> None:
        with self._using:
            self._disconnect()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            # Opened for reading and writing, as readers of a WAL must, but never made.
            uri = f"{self._path.absolute().as_uri()}?mode=rw"
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False
            )
            if not is_made(self._connection):
                raise sqlite3.OperationalError("its tables are not made yet")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
