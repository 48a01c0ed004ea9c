"""The SQLite queue's promises to receivers who are canceled."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.fair_lock import FairLock
from comfyq.adapters.sqlite.inline import Inline
from comfyq.adapters.sqlite.queue import SqliteQueue
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain.errors import QueueUnavailable
from comfyq.domain.job import JobId
from tests.contract.queue.bench import ALICE

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(path=tmp_path / "comfyq.db", busy_timeout_s=1.5)
    yield database
    database.close()


@pytest.fixture
def queue(database: Database) -> SqliteQueue:
    return SqliteQueue(database=database, clock=SystemClock(), max_receives=1000)


async def test_a_cancellation_at_any_moment_leaves_the_message_to_others(
    queue: SqliteQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> NoReturn:
        raise BlockingIOError("another process writes")

    monkeypatch.setattr(Inline, "write", busy)  # so a message is taken by a thread
    await queue.send(JobId("a"), tenant=ALICE)
    canceled = 0
    for n in range(240):
        receiving = asyncio.create_task(queue.receive(wait_s=1))
        asyncio.get_running_loop().call_later(n * 5e-6, receiving.cancel)  # 0 to 1.2 ms
        try:
            delivery = await receiving
        except asyncio.CancelledError:
            canceled += 1
            delivery = await queue.receive(wait_s=1)
        assert delivery is not None
        await delivery.hide(0)
    assert canceled > 10


async def test_a_queue_behind_a_held_lock_is_unavailable(
    queue: SqliteQueue, tmp_path: Path
) -> None:
    await queue.send(JobId("a"), tenant=ALICE)
    with FairLock(tmp_path / "comfyq.db.lock").held():
        with pytest.raises(QueueUnavailable, match="locked"):
            await queue.send(JobId("b"), tenant=ALICE)
        with pytest.raises(QueueUnavailable, match="locked"):
            await queue.receive(wait_s=0)
    delivery = await queue.receive(wait_s=0)
    assert delivery is not None
    assert delivery.job_id == "a"
    assert await queue.receive(wait_s=0) is None
