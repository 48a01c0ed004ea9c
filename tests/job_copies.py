"""Stores with very many jobs: copies of a few that went their whole way."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

TOGETHER = 20_000  # copies of one transaction

ITEMS = "CREATE TEMP TABLE original AS SELECT * FROM item WHERE instr(pk || '#' || sk, ?)"
MESSAGES = """INSERT INTO message (job_id, tenant, visible_at) SELECT copy.id, tenant, visible_at
    FROM message JOIN copy WHERE job_id = ?"""


def store_copies(data_dir: Path, job_ids: Sequence[str], count: int) -> None:
    """Store ``count`` copies of these jobs, in equal parts, in a data directory that nobody uses.

    A copy has its own id, in every item of its job and in its doorbell; its files are not copied.
    """
    with closing(sqlite3.connect(data_dir / "comfyq.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("CREATE TEMP TABLE copy (id TEXT PRIMARY KEY)")
        for number, job_id in enumerate(job_ids):
            share = count * (number + 1) // len(job_ids) - count * number // len(job_ids)
            connection.execute(ITEMS, (job_id,))
            for begun in range(0, share, TOGETHER):
                _store(connection, job_id, min(TOGETHER, share - begun))
            connection.execute("DROP TABLE original")


def _store(connection: sqlite3.Connection, job_id: str, count: int) -> None:
    columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(item)")]
    values = ", ".join(
        name if name in ("version", "ttl") else f"replace({name}, :id, copy.id)" for name in columns
    )
    connection.execute("BEGIN")
    connection.execute("DELETE FROM copy")
    connection.executemany("INSERT INTO copy VALUES (?)", [(str(uuid4()),) for _ in range(count)])
    connection.execute(
        f"INSERT INTO item ({', '.join(columns)})"  # noqa: S608 - names of the schema
        f" SELECT {values} FROM copy CROSS JOIN original ORDER BY copy.id",
        {"id": job_id},
    )
    connection.execute(MESSAGES, (job_id,))
    connection.execute("COMMIT")


def count_ended(data_dir: Path) -> int:
    """Count the completed jobs of a store that may be in use."""
    return _count(data_dir, "succeeded")


def count_waiting(data_dir: Path) -> int:
    """Count the waiting jobs of a store that may be in use."""
    return _count(data_dir, "queued")


def _count(data_dir: Path, status: str) -> int:
    with closing(sqlite3.connect(f"file:{data_dir / 'comfyq.db'}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM item WHERE spk LIKE ?", (f"T#%#{status}",)
        ).fetchone()
    return int(count)
