"""All data of a tenant is deleted, wherever the deletion is cut off, and nobody else's."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.bootstrap.services import Services
from comfyq.domain import job as jobs
from comfyq.domain.audit import Actor
from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import JobId
from comfyq.domain.tenant import DataDeletion
from comfyq.ports.inbox import Message
from comfyq.ports.notifier import Connection
from comfyq.ports.table import MAX_WRITES, Item, Key, Put, Table
from comfyq.records.subscriptions import Subscription
from comfyq.testing.faults.assets import FaultyAssets
from comfyq.testing.faults.rules import Rule
from comfyq.testing.faults.table import FaultyTable
from comfyq.testing.memory.assets import MemoryAssets
from comfyq.testing.memory.table import MemoryTable
from tests.access_lab import OTHER, AccessLab
from tests.api_lab import output

pytestmark = pytest.mark.anyio

GOING = TenantId("going")
REUSING = {"prompt": "a fox", "seed": 1, "reuse": True}
A_FILE = {"name": "a.txt", "content_type": "text/plain", "size_bytes": 5}
# No data of a tenant: keys, the log, what is used of limits, sockets, and what is the deployment's.
STAYS = ("KEY", "AUDIT#", "TENANT", "RATE#", "STORED#", "LINE", "FAMILY", "SECRET#", "SOCKETS#")
BAR = {"pk", "sk", "ttl"}  # what keeps the id of a deleted job has this alone


Items = Mapping[Key, Item]


class Filled:
    """A server with data of two tenants. That of one is to be deleted."""

    def __init__(self) -> None:
        self.lab = AccessLab(COMFYQ_RUNNING_JOBS=5, COMFYQ_OUTPUT_BYTES=10**9, linked_assets=True)
        self.running: JobId
        self.items: Items = {}
        self.others: Items = {}
        self.files_of_others: set[str] = set()

    async def fill(self) -> None:
        await self._fill(OTHER)
        self.others = data_of(self.lab.table.items())
        self.files_of_others = set(self.lab.assets.stored)
        await self._fill(GOING)
        self.lab.clock.advance(1)  # so that the log has an order
        await self.lab.services.tenants.delete_data(GOING, by=Actor("user me", "here"))
        self.items = self.lab.table.items()

    async def _fill(self, tenant: TenantId) -> None:
        """Make one of each thing, and jobs in every state."""
        lab, key = self.lab, await self.lab.key(tenant=tenant)

        def made(path: str, **request: Any) -> Any:
            answer = lab.ask("POST", path, key, **request)
            assert answer.status_code in (200, 201, 202), answer.text
            return answer.json()

        first = JobId(made("/generate", json=REUSING | {"labels": {"set": "a"}})["id"])
        await lab.reuse.note(await lab.records.get(first), await lab.records.spec(first))
        await lab.succeed(first, picture := output(f"{tenant}.png"))
        lab.store(picture, b"pixels")
        again = made("/generate", json=REUSING, headers={"Idempotency-Key": "k"})
        assert again["reused_from"] == first
        self.running = JobId(made("/generate", json={"prompt": "a fox"})["id"])
        await self._follow(tenant, self.running)
        await lab.start(self.running)
        made("/generate/batch", json={"requests": [{"prompt": "a fox"}, {"prompt": 7}]})
        made(f"/assets?filename={tenant}", content=tenant.encode())
        upload_id = made("/assets/uploads", json=A_FILE)["id"]
        lab.store(replace(picture, key=f"pending/{upload_id}"), b"a fox")
        doorbell = Message(f"letter-of-{tenant}", json.dumps({"job_id": first}))
        await lab.dead_letters.keep_doorbell(doorbell)
        await lab.services.run_times.put(tenant, "flux-dev", 10.0)

    async def _follow(self, tenant: TenantId, job_id: JobId) -> None:
        followers, connection = self.lab.services.followers, Connection(tenant, "https://sockets")
        now_s = int(self.lab.clock.now().timestamp())
        caller = Caller(tenant, frozenset(Scope))
        await followers.connect(connection, caller, base_url="", now_s=now_s)
        await followers.add(job_id, Subscription(connection, ""), now_s=now_s)


class Deletion:
    """The deletion over a table of its own, which begins as the server's is."""

    def __init__(self, filled: Filled, table: Table) -> None:
        self._filled = filled
        self._table = table
        self.assets = MemoryAssets(linked=True)
        self.assets.stored = dict(filled.lab.assets.stored)

    async def begin(self) -> None:
        puts = [Put(item) for item in self._filled.items.values()]
        for at in range(0, len(puts), MAX_WRITES):
            await self._table.write(*puts[at : at + MAX_WRITES])

    async def run(self, *rules: Rule) -> DataDeletion:
        """Go on until it has ended, as time goes by, or ``rules`` strike."""
        clock, began_at = self._filled.lab.clock, self._filled.lab.clock.now()
        services = self.services(rules)
        try:
            for _ in range(20):
                await services.data_deletions.go_on()
                deletion = (await services.tenant_records.get(GOING)).deletion
                assert deletion is not None
                if deletion.ended_at is not None:
                    return deletion
                await self.stop_what_is_canceled(services)
                clock.advance(10)
        finally:
            clock.set(began_at)
        pytest.fail("it goes on")

    def services(self, rules: tuple[Rule, ...]) -> Services:
        lab = self._filled.lab
        table, assets = FaultyTable(self._table, rules), FaultyAssets(self.assets, rules)
        return Services(
            lab.services.settings, replace(lab.services.ports, table=table, assets=assets)
        )

    async def stop_what_is_canceled(self, services: Services) -> None:
        """Do what the worker does that has the running job."""
        try:
            job = await services.records.get(self._filled.running)
        except JobNotFound:
            return
        if job.cancel_requested and not job.status.terminal:
            stopped = partial(jobs.confirm_cancel, token=job.attempt)
            await services.records.update(job, stopped)


@pytest.fixture
async def filled() -> Filled:
    filled = Filled()
    await filled.fill()
    return filled


def data_of(items: Items) -> Items:
    return {
        key: item
        for key, item in items.items()
        if not key[0].startswith(STAYS)
        and item.keys() != BAR
        and not (key[0].startswith("CONN#") and key[1] == "META")
    }


def crashes(port: str, call: str, *, when: Any, each: int) -> Iterator[Rule]:
    for at in range(1, 500, each):
        yield Rule(port=port, call=call, do="crash", when=when, at=at)


@pytest.mark.parametrize(
    ("port", "call", "when", "each", "least"),
    [
        ("table", "write", "before", 4, 8),
        pytest.param("table", "write", "before", 1, 32, marks=pytest.mark.verify),
        ("assets", "delete", "after", 1, 3),
    ],
)
async def test_a_deletion_that_dies_at_any_step_is_finished(
    filled: Filled, port: str, call: str, when: str, each: int, least: int
) -> None:
    steps = 0
    for rule in crashes(port, call, when=when, each=each):
        table = MemoryTable(clock=filled.lab.clock)
        deletion = Deletion(filled, table)
        await deletion.begin()
        try:
            await deletion.run(rule)
            break  # it has fewer steps
        except ZeroDivisionError:
            steps += 1
        await deletion.run()
        assert data_of(table.items()) == filled.others, rule
        assert set(deletion.assets.stored) == filled.files_of_others, rule
    assert steps >= least


@pytest.mark.parametrize("step", [1, 20])
async def test_it_is_finished_on_sqlite(filled: Filled, tmp_path: Path, step: int) -> None:
    database = Database(path=tmp_path / "comfyq.db")
    deletion = Deletion(filled, SqliteTable(database=database, clock=filled.lab.clock))
    try:
        await deletion.begin()
        with pytest.raises(ZeroDivisionError):
            await deletion.run(Rule(port="table", call="write", do="crash", at=step))
        await deletion.run()
    finally:
        database.close()
    assert data_of(stored_in(tmp_path / "comfyq.db")) == filled.others
    assert set(deletion.assets.stored) == filled.files_of_others


def stored_in(file: Path) -> Items:
    connection = sqlite3.connect(file)
    try:
        rows = connection.execute("SELECT pk, sk, body FROM item").fetchall()
    finally:
        connection.close()
    return {(pk, sk): json.loads(body) for pk, sk, body in rows}


async def test_what_was_deleted_is_counted_and_noted(filled: Filled) -> None:
    deletion = Deletion(filled, filled.lab.table)
    done = await deletion.run()
    assert done.deleted == {
        "jobs": 4,
        "batches": 1,
        "files": 1,
        "announced_files": 1,
        "dead_letters": 1,
        "idempotency_keys": 1,
        "reusable_results": 1,
        "run_times": 1,
    }
    entries, _ = await filled.lab.services.audit.page(GOING, limit=2)
    assert [(each.action, each.actor.who) for each in entries] == [
        ("data-deleted", "reaper"),
        ("data-deletion-begun", "user me"),
    ]
    assert entries[0].details["jobs"] == "4"


async def test_it_goes_on_where_indexes_lag_and_others_delete_as_well(filled: Filled) -> None:
    table = MemoryTable(clock=filled.lab.clock, lagging=True)
    first, second = Deletion(filled, table), Deletion(filled, table)
    await first.begin()
    table.settle()
    one, other = first.services(()), second.services(())
    for _ in range(4):
        await one.data_deletions.go_on()
        await other.data_deletions.go_on()
        await first.stop_what_is_canceled(one)
        filled.lab.clock.advance(10)
    table.settle()
    await first.run()
    assert data_of(table.items()) == filled.others
