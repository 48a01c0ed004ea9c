"""Files of earlier versions of the schema."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.domain.caller import TenantId
from comfyq.domain.files.asset import Asset, AssetId
from comfyq.domain.files.upload import Upload, UploadId
from comfyq.domain.job import JobId, submitted
from comfyq.domain.submission.spec import Spec
from comfyq.ports.table import Delete, Put
from comfyq.records.files.assets import AssetRecords
from comfyq.records.files.uploads import UploadRecords
from comfyq.records.idempotency import Idempotency, idempotency_item
from comfyq.records.indexes.listed_jobs import ListedJobs, of_workflow
from comfyq.records.job_items import to_item
from comfyq.records.job_parts import spec_item
from comfyq.records.reuse.results import ResultRecords
from comfyq.testing.memory.clock import ManualClock

pytestmark = pytest.mark.anyio

ITEM = '{"pk":"JOB#%d","sk":"META","apk":"ACTIVE#1","ask":"1"%s}'
JOBS = {1: ',"ended":5', 2: ',"ended":5,"end_pending":true', 3: ""}


async def test_ended_jobs_of_version_3_get_a_partition_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "comfyq.db"
    clock = ManualClock()
    database = Database(path=path)
    with closing(database):  # makes the tables
        assert await SqliteTable(database=database, clock=clock).get(("a", "b")) is None
    with closing(sqlite3.connect(path)) as connection, connection:
        for number, values in JOBS.items():
            connection.execute(
                "INSERT INTO item (pk, sk, apk, ask, body) VALUES (?, 'META', 'ACTIVE#1', '1', ?)",
                (f"JOB#{number}", ITEM % (number, values)),
            )
        connection.execute("PRAGMA user_version=3")
    database = Database(path=path)
    with closing(database):
        table = SqliteTable(database=database, clock=clock)
        for partition, expected in (("ENDED#1", ["JOB#1"]), ("ACTIVE#1", ["JOB#2", "JOB#3"])):
            page = await table.query("active", partition, limit=9)
            assert [each["pk"] for each in page.items] == expected
        item = await table.get(("JOB#1", "META"))
        assert item is not None
        assert item["apk"] == "ENDED#1"


async def test_jobs_of_version_4_are_listed_by_their_workflow(tmp_path: Path) -> None:
    path, clock, tenant = tmp_path / "comfyq.db", ManualClock(), TenantId("t")
    old = submitted(id=JobId("old"), tenant=tenant, workflow="sd15", created_at=clock.now())
    database = Database(path=path)
    with closing(database):
        table = SqliteTable(database=database, clock=clock)
        spec = dict(spec_item(old, Spec(graph={}, parameters={})))
        for name in ("tpk", "tsk"):
            del spec[name]  # as version 4 wrote it
        await table.write(Put(to_item(old, write_id="w")), Put(spec))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version=4")
    database = Database(path=path)
    with closing(database):
        table = SqliteTable(database=database, clock=clock)
        page = await ListedJobs(table).page(of_workflow(tenant, "sd15"), limit=9)
        assert [job.id for job in page.jobs] == ["old"]
        await table.write(Delete(("JOB#old", "SPEC")))
        assert (await ListedJobs(table).page(of_workflow(tenant, "sd15"), limit=9)).jobs == []


async def test_what_version_5_stored_for_a_tenant_is_listed_by_it(tmp_path: Path) -> None:
    path, clock, tenant = tmp_path / "comfyq.db", ManualClock(), TenantId("t")
    now = clock.now()
    file = Asset(
        id=AssetId("a"),
        tenant=tenant,
        filename="a",
        content_type="image/png",
        size=1,
        blake3="b3",
        key="assets/a",
        created_at=now,
        expires_at=now + timedelta(days=1),
    )
    upload = Upload(
        id=UploadId("u"),
        tenant=tenant,
        filename="u",
        content_type="image/png",
        size=1,
        blake3=None,
        expires_at=now + timedelta(hours=1),
    )
    kept_s = int(now.timestamp()) + 1_000
    database = Database(path=path)
    with closing(database):
        table = SqliteTable(database=database, clock=clock)
        await AssetRecords(table).add(file, most_bytes=2**60)
        await UploadRecords(table).put(upload)
        await ResultRecords(table).note(tenant, "r", JobId("j"), until=now + timedelta(days=1))
        promise = Idempotency(tenant, "k#1", "digest", JobId("j"), kept_s)
        await table.write(Put(idempotency_item(promise)))
    listed = "SELECT pk, tpk, tsk, body FROM item WHERE tpk IS NOT NULL ORDER BY pk"
    with closing(sqlite3.connect(path)) as connection, connection:
        made = connection.execute(listed).fetchall()
        connection.execute(
            "UPDATE item SET tpk = NULL, tsk = NULL, body = json_remove(body, '$.tpk', '$.tsk')"
        )
        connection.execute("PRAGMA user_version=5")
    database = Database(path=path)
    with closing(database):
        assert await SqliteTable(database=database, clock=clock).get(("a", "b")) is None
    with closing(sqlite3.connect(path)) as connection:
        converted = connection.execute(listed).fetchall()
    assert len(made) == 4
    assert [row[:3] for row in converted] == [row[:3] for row in made]
    assert [json.loads(row[3]) for row in converted] == [json.loads(row[3]) for row in made]
