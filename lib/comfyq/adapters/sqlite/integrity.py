"""A look for damage in a database's file, such as a page that another program has overwritten."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from comfyq.adapters.sqlite.schema import OtherSchema, is_made

STEPS = 10_000  # of SQLite's machine between two looks at the time


def damage_of(file: Path, *, within_s: float = float("inf")) -> str | None:
    """Return what is damaged in a database that exists; None if nothing is, or if that was not
    found ``within_s``.

    https://www.sqlite.org/pragma.html#pragma_quick_check

    Raises:
        sqlite3.Error: it cannot be looked at.
    """
    end_s = time.monotonic() + within_s
    with closing(_opened(file)) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > end_s, STEPS)
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            code = error.sqlite_errorcode & 0xFF
            if code == sqlite3.SQLITE_INTERRUPT:
                return None
            if code != sqlite3.SQLITE_CORRUPT:
                raise
            return str(error)
    return None if found == "ok" else " ".join(str(found).replace("***", "").split())


def version_fault(file: Path) -> str | None:
    """Return why this program cannot use a database that exists; None if it can, or converts it.

    Raises:
        sqlite3.Error: it cannot be looked at.
    """
    with closing(_opened(file)) as connection:
        try:
            is_made(connection)
        except OtherSchema as newer:
            return str(newer)
    return None


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
