"""Damage in a database's file is found; clients are told of it without paths and rows."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.integrity import damage_of, version_fault
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job.client_text import for_clients
from comfyq.ports.table import MAX_WRITES, Put
from comfyq.testing.memory.clock import ManualClock

pytestmark = pytest.mark.anyio

SECRET = "a prompt that nobody else may read"
ROWS = 200


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """The file of a closed database with many rows."""
    file = tmp_path / "a folder" / "comfyq.db"
    database = Database(path=file)
    table = SqliteTable(database=database, clock=ManualClock())
    rows = [{"pk": f"JOB#{n:03}", "sk": "SPEC", "text": SECRET * 20} for n in range(ROWS)]
    for start in range(0, ROWS, MAX_WRITES):
        await table.write(*map(Put, rows[start : start + MAX_WRITES]))
    database.close()
    return file


def overwrite_pages(file: Path) -> None:
    """Overwrite the second half, as another program's write to the wrong place does."""
    size = file.stat().st_size
    with file.open("r+b") as content:
        content.seek(size // 2)
        content.write(b"\xa5" * (size - size // 2))


def break_a_text(file: Path) -> None:
    """Store a row's text in bytes that are none."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE item SET body = CAST(x'ff' || body AS TEXT)")
        connection.commit()


async def read_all(file: Path) -> None:
    database = Database(path=file)
    table = SqliteTable(database=database, clock=ManualClock())
    try:
        for number in range(ROWS):
            await table.get((f"JOB#{number:03}", "SPEC"))
    finally:
        database.close()


async def test_a_whole_database_has_no_fault(file: Path) -> None:
    assert damage_of(file) is None
    assert version_fault(file) is None


async def test_overwritten_pages_are_found(file: Path) -> None:
    overwrite_pages(file)
    damage = damage_of(file)
    assert damage
    assert SECRET not in damage


async def test_a_newer_version_is_told(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert "update comfyq" in str(version_fault(file))


@pytest.mark.parametrize("spoil", [overwrite_pages, break_a_text])
async def test_clients_are_told_neither_path_nor_row(
    file: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(file)
    with pytest.raises(TableUnavailable) as failed:
        await read_all(file)
    told = for_clients(str(failed.value))
    assert "the database is damaged" in told
    for private in (SECRET, "a folder", file.parts[1]):
        assert private not in told
