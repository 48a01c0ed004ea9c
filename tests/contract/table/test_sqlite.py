"""Promises of the SQLite file beyond the port: no loss, no blocking, clear errors."""

import asyncio
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from comfyq.adapters.sqlite.commit import commit_together
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.fair_lock import FairLock
from comfyq.adapters.sqlite.lane import Task
from comfyq.adapters.sqlite.queue import SqliteQueue
from comfyq.adapters.sqlite.table import EXPIRY_AFTER_S, SPARE_PAGES, SqliteTable
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import QueueUnavailable, TableUnavailable
from comfyq.domain.job import JobId
from comfyq.ports.table import ConditionFailed, Delete, Put
from tests.fixtures.emulator import ROOT

pytestmark = pytest.mark.anyio

CLOCK = SystemClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "on demand" / "comfyq.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path=path, busy_timeout_s=1.5)
    yield database
    database.close()


@pytest.fixture
def table(database: Database) -> SqliteTable:
    return SqliteTable(database=database, clock=CLOCK)


def item(pk: str, version: int = 1, **values: object) -> dict[str, object]:
    return {"pk": pk, "sk": "META", "version": version, **values}


async def test_kill_9_loses_nothing_that_was_acknowledged(path: Path) -> None:
    acknowledged: list[int] = []
    for _ in range(3):
        first = max(acknowledged, default=-1) + 1000
        acknowledged += _killed_writer(path, first)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    jobs = {row[0] for row in connection.execute("SELECT pk FROM item WHERE sk = 'META'")}
    specs = {row[0] for row in connection.execute("SELECT pk FROM item WHERE sk = 'SPEC'")}
    rung = {int(row[0]) for row in connection.execute("SELECT job_id FROM message")}
    connection.close()
    assert len(acknowledged) >= 150
    assert {f"JOB#{n}" for n in acknowledged} <= jobs
    assert jobs == specs
    assert set(acknowledged) <= rung


def _killed_writer(path: Path, first: int) -> list[int]:
    command = [sys.executable, "-m", "tests.contract.table.writer", str(path), str(first)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(50 + random.randrange(20))]
        process.kill()
        # A line that was cut short was not read as an acknowledgement by anybody.
        lines += [line for line in process.stdout if line.endswith("\n")]
    return [int(line) for line in lines]


async def test_a_commit_is_synced(database: Database) -> None:
    async def pragma(name: str) -> object:
        return await database.write(lambda c: c.execute(f"PRAGMA {name}").fetchone()[0])

    assert await pragma("journal_mode") == "wal"
    assert await pragma("synchronous") == 2  # FULL


async def test_what_may_be_lost_is_not_synced_unless_others_are_with_it(database: Database) -> None:
    def level(connection: sqlite3.Connection) -> int:
        stored: int = connection.execute("PRAGMA synchronous").fetchone()[0]
        return stored

    assert await database.write(level, synced=False) == 1  # NORMAL
    assert await database.write(level) == 2
    connection = sqlite3.connect(database.path, isolation_level=None)
    tasks = [Task(level, Future[int](), synced) for synced in (False, True)]
    for tell in commit_together(connection, tasks):
        tell()
    connection.close()
    assert [task.future.result() for task in tasks] == [2, 2]


async def test_what_needs_no_sync_takes_a_thread_only_while_another_writes(
    database: Database,
) -> None:
    def thread(_: sqlite3.Connection) -> int:
        return threading.get_ident()

    assert await database.write(thread) != threading.get_ident()
    assert await database.write(thread, synced=False) == threading.get_ident()
    with FairLock(database.path.with_name("comfyq.db.lock")).held():
        waiting = database.submit(thread, synced=False)
        assert not waiting.done()
    assert await database.settled(waiting) != threading.get_ident()


async def test_a_write_without_a_sync_that_raises_leaves_nothing(
    table: SqliteTable, database: Database
) -> None:
    await table.write(Put(item("a")))
    with pytest.raises(ConditionFailed):
        await table.write(Put(item("b")), Put(item("a"), absent=True), synced=False)
    assert await table.get(("b", "META")) is None
    await table.write(Put(item("b")), synced=False)
    assert await table.get(("b", "META")) is not None


async def test_a_write_behind_a_held_lock_is_refused_and_taken_back(
    table: SqliteTable, path: Path
) -> None:
    await table.write(Put(item("a")))
    with FairLock(path.with_name("comfyq.db.lock")).held():
        with pytest.raises(TableUnavailable, match="locked"):
            await table.write(Put(item("late")))
        assert await table.get(("a", "META")) is not None  # readers do not wait for writers
    await table.write(Put(item("next")))
    assert await table.get(("late", "META")) is None


async def test_another_program_that_holds_the_file_is_named(table: SqliteTable, path: Path) -> None:
    await table.write(Put(item("a")))
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(TableUnavailable, match="another program"):
        await table.write(Put(item("b")))
    stranger.execute("ROLLBACK")
    stranger.close()
    await table.write(Put(item("b")))


async def test_a_full_disk_is_said_and_survived(table: SqliteTable, database: Database) -> None:
    await table.write(Put(item("a")))
    await database.write(lambda c: c.execute("PRAGMA max_page_count = 30").fetchone())
    with pytest.raises(TableUnavailable, match="full"):
        await table.write(Put(item("a", 2)), Put(item("big", blob="x" * 300_000)))
    assert await table.get(("a", "META")) == item("a")
    await table.write(Put(item("a", 2), version=1))


@pytest.mark.parametrize("kind", ["folder", "other file", "under a file", "other schema"])
async def test_what_is_no_database_is_unavailable(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    match kind:
        case "folder":
            path.mkdir()
        case "other file":
            path.write_bytes(b"this is no database, but long enough to be looked at" * 20)
        case "under a file":
            path.write_bytes(b"")
            path = path / "comfyq.db"
        case _:
            with sqlite3.connect(path) as connection:
                connection.execute("PRAGMA user_version = 99")
            connection.close()
    database = Database(path=path, busy_timeout_s=1.5)
    with pytest.raises(TableUnavailable, match="file"):
        await SqliteTable(database=database, clock=CLOCK).get(("a", "META"))
    with pytest.raises(QueueUnavailable, match="file"):
        await SqliteQueue(database=database, clock=CLOCK).send(JobId("a"), tenant=DEFAULT_TENANT)
    database.close()


async def test_a_newer_schema_is_refused_also_where_its_tables_can_be_read(
    path: Path, table: SqliteTable
) -> None:
    await table.write(Put(item("a")))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    newer = Database(path=path)
    with pytest.raises(TableUnavailable, match="update comfyq"):
        await SqliteTable(database=newer, clock=CLOCK).get(("a", "META"))
    newer.close()


async def test_a_canceled_write_is_done_whole_or_not_at_all(table: SqliteTable) -> None:
    tasks = [
        asyncio.create_task(table.write(Put(item(f"left{n}")), Put(item(f"right{n}"))))
        for n in range(60)
    ]
    await tasks[5]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await table.write(Put(item("after")))
    pairs = [
        (await table.get((f"left{n}", "META")), await table.get((f"right{n}", "META")))
        for n in range(60)
    ]
    assert all((left is None) == (right is None) for left, right in pairs)


async def test_a_write_that_has_not_begun_is_taken_back(path: Path, table: SqliteTable) -> None:
    await table.write(Put(item("before")))
    with FairLock(path.with_name(f"{path.name}.lock")).held():
        waiting = asyncio.create_task(table.write(Put(item("waiting"))))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await table.write(Put(item("after")))
    assert await table.get(("waiting", "META")) is None


async def test_writes_that_wait_together_keep_their_own_conditions(table: SqliteTable) -> None:
    """They share one commit; the refused ones take back nothing but themselves."""
    await table.write(Put(item("taken", version=1)))
    writes = [
        table.write(Put(item(f"part{n}")), Put(item("taken" if n % 2 else f"free{n}"), absent=True))
        for n in range(20)
    ]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(result, ConditionFailed) for result in results] == [
        bool(n % 2) for n in range(20)
    ]
    for n in range(20):
        assert (await table.get((f"part{n}", "META")) is None) == bool(n % 2)


async def test_writes_at_once_from_several_databases_all_happen(path: Path) -> None:
    databases = [Database(path=path) for _ in range(3)]

    async def add(database: Database) -> None:
        table = SqliteTable(database=database, clock=CLOCK)
        for _ in range(20):
            await _add_one(table)

    async with anyio.create_task_group() as group:
        for database in databases:
            group.start_soon(add, database)
    stored = await SqliteTable(database=databases[0], clock=CLOCK).get(("sum", "META"))
    assert stored is not None
    assert stored["version"] == 60
    for database in databases:
        database.close()


async def _add_one(table: SqliteTable) -> None:
    while True:
        stored = await table.get(("sum", "META"))
        version = stored["version"] if stored else None
        put = Put(item("sum", (version or 0) + 1), absent=version is None, version=version)
        try:
            return await table.write(put)
        except ConditionFailed:
            continue


async def test_long_expired_items_are_deleted_in_passing(
    table: SqliteTable, database: Database
) -> None:
    now_s = int(CLOCK.now().timestamp())
    await database.write(
        lambda c: (
            c.executemany(
                "INSERT INTO item (pk, sk, ttl, body) VALUES (?, '-', ?, '{}')",
                [
                    ("old", now_s - EXPIRY_AFTER_S - 5),
                    ("recent", now_s - 5),
                    ("alive", now_s + 500),
                ],
            ).rowcount
        )
    )
    await table.write(Put(item("a")))
    rows = await database.read(lambda c: c.execute("SELECT pk FROM item ORDER BY pk").fetchall())
    assert [pk for (pk,) in rows] == ["a", "alive", "recent"]


async def test_it_opens_again_after_it_was_closed(table: SqliteTable, database: Database) -> None:
    await table.write(Put(item("a")))
    database.close()
    assert await table.get(("a", "META")) == item("a")


async def test_space_of_deleted_items_is_given_back(table: SqliteTable, path: Path) -> None:
    """After many deletions the file is as large as what is left."""
    keys = [f"J{number}" for number in range(2_000)]
    for at in range(0, len(keys), 20):
        await table.write(*(Put(item(key, text="x" * 5_000)) for key in keys[at : at + 20]))
    full = pages_of(path)
    for at in range(0, len(keys), 20):
        await table.write(*(Delete((key, "META")) for key in keys[at : at + 20]))
    async with asyncio.timeout(30):
        while pages_of(path) > SPARE_PAGES + full // 20:
            table._freed_at_s = float("-inf")  # a second has passed
            await table.write(Put(item("one more")))
    assert full > 4 * SPARE_PAGES


async def test_a_file_of_the_version_before_is_converted(path: Path) -> None:
    """It gets the index by status, and gives space back from then on."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(VERSION_2)
    database = Database(path=path)
    with closing(database):
        table = SqliteTable(database=database, clock=CLOCK)
        page = await table.query("status", "T#t#failed", limit=9)
        assert [each["pk"] for each in page.items] == ["JOB#1"]
        await table.write(Put(item("JOB#2", tpk="T#t", tsk="2", spk="T#t#failed")))
        page = await table.query("status", "T#t#failed", limit=9)
        assert [each["pk"] for each in page.items] == ["JOB#1", "JOB#2"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def pages_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return pages


VERSION_2 = """
PRAGMA journal_mode=WAL;
CREATE TABLE item (pk TEXT, sk TEXT, version INTEGER, ttl INTEGER, tpk TEXT, tsk TEXT, apk TEXT,
    ask TEXT, rpk TEXT, rsk TEXT, body TEXT NOT NULL, PRIMARY KEY (pk, sk)) WITHOUT ROWID;
INSERT INTO item (pk, sk, version, tpk, tsk, body) VALUES ('JOB#1', 'META', 1, 'T#t', '1',
    '{"pk":"JOB#1","sk":"META","version":1,"tpk":"T#t","tsk":"1","status":"failed"}');
PRAGMA user_version=2;
"""
