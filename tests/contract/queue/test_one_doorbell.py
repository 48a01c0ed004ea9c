"""On one machine a job has one doorbell, however often it is sent one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.queue import SqliteQueue
from comfyq.domain.job import JobId
from comfyq.testing.memory.clock import ManualClock
from tests.contract.queue.bench import ALICE

pytestmark = pytest.mark.anyio

A, B = JobId("a"), JobId("b")


class Doorbells:
    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.path = path
        self.database = Database(path=path)
        self.queue = SqliteQueue(database=self.database, clock=self.clock)

    async def send(self, *jobs: JobId, delay_s: float = 0) -> None:
        for job_id in jobs:
            await self.queue.send(job_id, tenant=ALICE, delay_s=delay_s)

    def rows(self) -> list[str]:
        with closing(sqlite3.connect(self.path)) as connection:
            return [row[0] for row in connection.execute("SELECT job_id FROM message ORDER BY id")]


@pytest.fixture
def doorbells(tmp_path: Path) -> Iterator[Doorbells]:
    doorbells = Doorbells(tmp_path / "comfyq.db")
    yield doorbells
    doorbells.database.close()


async def test_waiting_jobs_that_are_rung_again_have_one_message_each_and_their_place(
    doorbells: Doorbells,
) -> None:
    await doorbells.send(A, B)
    for _ in range(3):
        doorbells.clock.advance(3_600)
        await doorbells.send(A)
        await doorbells.queue.send_many([B, A], tenant=ALICE)
    assert doorbells.rows() == [A, B]
    delivery = await doorbells.queue.receive(wait_s=0)
    assert delivery is not None
    assert delivery.job_id == A


async def test_a_message_that_is_hidden_is_replaced_by_one_that_is_not(
    doorbells: Doorbells,
) -> None:
    """Its worker is gone: the next one need not wait until it would be visible."""
    await doorbells.send(A)
    former = await doorbells.queue.receive(wait_s=0)
    assert former is not None
    await former.hide(120)
    await doorbells.send(A)
    assert doorbells.rows() == [A]
    await former.ack()  # a worker that was taken for dead
    assert doorbells.rows() == [A]
    delivery = await doorbells.queue.receive(wait_s=0)
    assert delivery is not None
    await delivery.ack()
    assert doorbells.rows() == []


async def test_a_delayed_message_takes_nothing_from_one_that_is_visible(
    doorbells: Doorbells,
) -> None:
    await doorbells.send(A)
    await doorbells.send(A, delay_s=60)
    assert await doorbells.queue.receive(wait_s=0) is not None


async def test_a_message_that_its_receiver_kept_for_too_long_is_replaced(
    doorbells: Doorbells,
) -> None:
    """It may acknowledge it yet, which must not take the doorbell that was sent meanwhile."""
    await doorbells.send(A)
    former = await doorbells.queue.receive(wait_s=0)
    assert former is not None
    doorbells.clock.advance(3_600)
    await doorbells.send(A)
    await former.ack()
    assert doorbells.rows() == [A]
