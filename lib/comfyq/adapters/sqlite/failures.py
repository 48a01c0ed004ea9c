"""Why the file cannot be used, and that the last write to it failed."""

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

KEPT_S = 60.0  # a failure says nothing about now after that time

REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another program holds the database",
    sqlite3.SQLITE_READONLY: "the database cannot be written",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
}


def explained(error: sqlite3.Error | OSError) -> str:
    """Return a reason for a person; an OSError's may name paths."""
    if "Could not decode" in str(error):  # it would show the stored text
        return "the database is damaged (a stored text is not UTF-8)"
    code = getattr(error, "sqlite_errorcode", None)
    # The low byte is the primary code: https://www.sqlite.org/rescode.html
    reason = REASONS.get(code & 0xFF) if code is not None else None
    return f"{reason} ({error})" if reason else str(error)


class LastWrite:
    """Remember why the last write of this process failed, until one succeeds."""

    def __init__(self, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._failed: tuple[float, str] | None = None  # when, and why

    @property
    def failure(self) -> str | None:
        """Return why it failed, without paths; None if it succeeded, or was too long ago."""
        failed = self._failed
        if failed is None or self._now_s() - failed[0] > KEPT_S:
            return None
        return failed[1]

    def follow(self, write: Future[Any]) -> None:
        """Note how a write ends; one that was canceled, or refused by a condition, says nothing."""
        write.add_done_callback(self._note)

    def succeed(self) -> None:
        self._failed = None

    def fail(self, reason: str) -> None:
        self._failed = self._now_s(), reason

    def _note(self, write: Future[Any]) -> None:
        if write.cancelled():
            return
        error = write.exception()
        if error is None:
            self.succeed()
        else:
            self.note(error)

    def note(self, error: BaseException) -> None:
        """Note why a write failed, if that says anything about the next one."""
        if isinstance(error, OSError):
            self.fail(error.strerror or type(error).__name__)
        elif isinstance(error, sqlite3.Error):
            self.fail(explained(error))
