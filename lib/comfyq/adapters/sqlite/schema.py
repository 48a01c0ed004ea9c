"""The tables of the file. The index columns come from ``ports.table.INDEXES``."""

import sqlite3

from comfyq.ports.table import INDEXES, MAIN

VERSION = 6  # of this schema; kept in the file's user_version

SPARSE = {name: index for name, index in INDEXES.items() if name != MAIN}
COLUMNS = (
    "pk",
    "sk",
    "version",
    "ttl",
    *dict.fromkeys(column for index in SPARSE.values() for column in (index.partition, index.sort)),
)
INCREMENTAL = 2  # a value of auto_vacuum: a file gives pages back when it is asked to

QUEUE = (
    """CREATE TABLE IF NOT EXISTS message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL,
        tenant TEXT NOT NULL,
        visible_at REAL NOT NULL,
        receives INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX IF NOT EXISTS message_visible ON message (visible_at, id)",
    "CREATE INDEX IF NOT EXISTS message_job ON message (job_id)",
    """CREATE TABLE IF NOT EXISTS letter (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        box TEXT NOT NULL,
        id TEXT NOT NULL,
        body TEXT NOT NULL,
        attributes TEXT NOT NULL,
        visible_at REAL NOT NULL,
        receives INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX IF NOT EXISTS letter_visible ON letter (box, visible_at, seq)",
)


class OtherSchema(sqlite3.DatabaseError):
    """The file was made by another version of this program."""


def is_made(connection: sqlite3.Connection) -> bool:
    """Return whether ``make`` has been here; an older file only lacks tables, which ``make`` adds.

    Raises:
        OtherSchema: the file has a newer version's tables.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version <= VERSION:
        raise OtherSchema(
            f"its schema has version {version}, this program knows {VERSION}: update comfyq"
        )
    return bool(version == VERSION)


def make(connection: sqlite3.Connection) -> None:
    """Make the tables, or convert an older file's; the caller keeps other processes from doing the
    same."""
    _give_back_pages(connection)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("BEGIN IMMEDIATE")
    _add_columns(connection)
    for statement in (*_item_table(), *QUEUE, f"PRAGMA user_version={VERSION}"):
        connection.execute(statement)
    _part_ended(connection)
    _list_by_workflow(connection)
    _list_by_tenant(connection)
    connection.execute("COMMIT")


def _give_back_pages(connection: sqlite3.Connection) -> None:
    """Have the file keep no pages that deletions empty; one that has pages is rewritten for it.

    https://www.sqlite.org/pragma.html#pragma_auto_vacuum
    """
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
        connection.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
        connection.execute("VACUUM")


def _add_columns(connection: sqlite3.Connection) -> None:
    """Add the columns that a file of version 2 lacks, with the values of its jobs."""
    names = {row[1] for row in connection.execute("PRAGMA table_info(item)")}
    if names and "spk" not in names:
        connection.execute("ALTER TABLE item ADD COLUMN spk TEXT")
        connection.execute(
            "UPDATE item SET spk = tpk || '#' || json_extract(body, '$.status')"
            " WHERE sk = 'META' AND pk LIKE 'JOB#%' AND tpk IS NOT NULL"
        )


def _part_ended(connection: sqlite3.Connection) -> None:
    """Move jobs that only wait for their deletion to their own partition, which a file of version 3
    has not."""
    connection.execute(
        "UPDATE item SET apk = replace(apk, 'ACTIVE#', 'ENDED#'),"
        " body = json_set(body, '$.apk', replace(apk, 'ACTIVE#', 'ENDED#'))"
        " WHERE apk LIKE 'ACTIVE#%' AND json_extract(body, '$.ended') IS NOT NULL"
        " AND json_extract(body, '$.end_pending') IS NULL"
    )


def _list_by_workflow(connection: sqlite3.Connection) -> None:
    """List jobs by their workflow in the index, which a file of version 4 does not."""
    partition = "job.tpk || '#W#' || json_extract(job.body, '$.workflow')"
    connection.execute(
        f"UPDATE item SET tpk = {partition}, tsk = job.tsk,"
        f" body = json_set(item.body, '$.tpk', {partition}, '$.tsk', job.tsk)"
        " FROM item AS job WHERE item.sk = 'SPEC' AND item.tpk IS NULL"
        " AND job.pk = item.pk AND job.sk = 'META'"
    )


def _tenant_in_key(kind: str) -> str:
    """Return what reads the tenant of KIND#tenant#…, which has no `#` in it."""
    rest = f"substr(pk, {len(kind) + 2})"
    return f"substr({rest}, 1, instr({rest}, '#') - 1)"


def _value(name: str) -> str:
    return f"json_extract(body, '$.{name}')"


def _time(name: str) -> str:
    return f"printf('%015d', {_value(name)})"


LISTED_BY_TENANT = {  # where the index lists items of each kind: partition, tenant, sort key
    "ASSET": ("ASSETS", _value("tenant"), f"{_time('created')} || '#' || substr(pk, 7)"),
    "UPLOAD": ("UPLOADS", _value("tenant"), f"{_time('expires')} || '#' || substr(pk, 8)"),
    "IDEM": ("IDEMS", _tenant_in_key("IDEM"), _time("ttl")),
    "REUSE": ("REUSES", _tenant_in_key("REUSE"), _value("job")),
}


def _list_by_tenant(connection: sqlite3.Connection) -> None:
    """List files, uploads, keys of idempotency and reusable results by their tenant in the index,
    which a file of version 5 does not."""
    for kind, (listed_under, tenant, sort) in LISTED_BY_TENANT.items():
        partition = f"'{listed_under}#' || {tenant}"
        connection.execute(
            f"UPDATE item SET tpk = {partition}, tsk = {sort},"
            f" body = json_set(body, '$.tpk', {partition}, '$.tsk', {sort})"
            f" WHERE pk LIKE '{kind}#%' AND sk IN ('META', '-') AND tpk IS NULL"
        )


def _item_table() -> tuple[str, ...]:
    types = {"version": "INTEGER", "ttl": "INTEGER"}
    columns = ", ".join(f"{column} {types.get(column, 'TEXT')}" for column in COLUMNS)
    return (
        f"CREATE TABLE IF NOT EXISTS item ({columns}, body TEXT NOT NULL, PRIMARY KEY (pk, sk))"
        " WITHOUT ROWID",
        "CREATE INDEX IF NOT EXISTS item_ttl ON item (ttl) WHERE ttl IS NOT NULL",
        *(
            f"CREATE INDEX IF NOT EXISTS item_{name}"
            f" ON item ({index.partition}, {index.sort}, pk, sk)"
            f" WHERE {index.partition} IS NOT NULL AND {index.sort} IS NOT NULL"
            for name, index in SPARSE.items()
        ),
    )
