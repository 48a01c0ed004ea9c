"""Receivers of any process are woken for a message, and look seldom while there is none."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from comfyq.adapters.sqlite import arrivals
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.inbox import SqliteInbox
from comfyq.adapters.sqlite.queue import SqliteQueue
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobId
from comfyq.ports.inbox import Message
from tests.fixtures.emulator import ROOT
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio

CLOCK = SystemClock()
SEND = """
import asyncio, sys
from pathlib import Path
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.inbox import SqliteInbox
from comfyq.adapters.sqlite.queue import SqliteQueue
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobId
from comfyq.ports.inbox import Message

async def main():
    database = Database(path=Path(sys.argv[1]))
    queue = SqliteQueue(database=database, clock=SystemClock())
    inbox = SqliteInbox(database=database, clock=SystemClock(), box="box")
    for line in sys.stdin:
        await queue.send(JobId(line.strip()), tenant=DEFAULT_TENANT)
        await inbox.put(Message(line.strip(), "{}"))
    database.close()

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "comfyq.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path=path)
    yield database
    database.close()


@pytest.fixture
def sender(path: Path) -> Iterator[IO[str]]:
    """Another process, which sends a doorbell and a letter for each line."""
    command = [sys.executable, "-c", SEND, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdin is not None
        yield process.stdin


@pytest.fixture
def never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is received was told of by its sender."""
    monkeypatch.setattr(arrivals, "LOOK_S", 60.0)


async def test_a_message_of_another_process_wakes_receivers(
    database: Database, sender: IO[str], never_looks: None
) -> None:
    queue = SqliteQueue(database=database, clock=CLOCK)
    inbox = SqliteInbox(database=database, clock=CLOCK, box="box")
    for name in ("a", "b"):
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            job = group.create_task(queue.receive(wait_s=20))
            letters = group.create_task(inbox.receive(wait_s=20))
            await waiting(database, 2)
            sender.write(f"{name}\n")
            sender.flush()
        delivery = job.result()
        assert delivery is not None
        assert delivery.job_id == name
        assert [letter.message.id for letter in letters.result()] == [name]
        await delivery.ack()
        await letters.result()[0].ack()


async def test_messages_sent_together_reach_as_many_receivers(
    database: Database, never_looks: None
) -> None:
    queue = SqliteQueue(database=database, clock=CLOCK)
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        receivers = [group.create_task(queue.receive(wait_s=20)) for _ in range(4)]
        await waiting(database, 4)
        names = [JobId(f"job-{number}") for number in range(4)]
        await queue.send_many(names, tenant=DEFAULT_TENANT)
    received = [receiver.result() for receiver in receivers]
    assert {each.job_id for each in received if each is not None} == set(names)


async def test_a_message_that_becomes_visible_is_received_then(
    database: Database, never_looks: None
) -> None:
    queue = SqliteQueue(database=database, clock=CLOCK)
    await queue.send(JobId("a"), tenant=DEFAULT_TENANT, delay_s=0.3)
    async with asyncio.timeout(15):
        assert await queue.receive(wait_s=20) is not None


async def test_a_message_shown_again_wakes_a_receiver(
    database: Database, never_looks: None
) -> None:
    queue = SqliteQueue(database=database, clock=CLOCK)
    await queue.send(JobId("a"), tenant=DEFAULT_TENANT)
    taken = await queue.receive(wait_s=0)
    assert taken is not None
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        again = group.create_task(queue.receive(wait_s=20))
        await waiting(database, 1)
        await taken.hide(0)
    assert again.result() is not None


async def test_a_message_that_is_visible_soon_is_told_to_every_receiver(
    database: Database, never_looks: None
) -> None:
    """The one that was woken for it may have other work by then."""
    queue = SqliteQueue(database=database, clock=CLOCK)
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        receivers = [group.create_task(queue.receive(wait_s=20)) for _ in range(3)]
        await waiting(database, 3)
        noted = database.arrivals.noted("jobs")
        await queue.send(JobId("a"), tenant=DEFAULT_TENANT, delay_s=1)
        await until(lambda: database.arrivals.noted("jobs") > noted)
        await waiting(database, 3)
        for woken in receivers[:2]:
            woken.cancel()
    delivery = receivers[2].result()
    assert delivery is not None
    assert delivery.job_id == "a"


async def test_an_idle_receiver_looks_seldom(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = SqliteQueue(database=database, clock=CLOCK)
    pauses: list[float] = []
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    call_later = loop.call_later

    def at_once(delay_s: float, callback: Callable[..., None], *of: Any) -> asyncio.TimerHandle:
        if callback != database.arrivals._time_out:
            return call_later(delay_s, callback, *of)
        pauses.append(delay_s)
        if len(pauses) == 4:
            ended.set()
        return call_later(60 if ended.is_set() else 0, callback, *of)

    monkeypatch.setattr(loop, "call_later", at_once)
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        receiver = group.create_task(queue.receive(wait_s=20))
        await ended.wait()
        receiver.cancel()
    assert pauses[0] <= 2 * arrivals.POLL_S
    assert all(2 * arrivals.POLL_S < pause <= arrivals.LOOK_S for pause in pauses[1:])


async def test_the_pipe_of_a_killed_process_is_removed(path: Path, database: Database) -> None:
    await database.arrivals.wait("any", since=0, timeout_s=0.01)
    folder = path.with_name("comfyq.db.wake")
    os.mkfifo(folder / "1-dead")
    assert len(list(folder.iterdir())) == 2
    await SqliteInbox(database=database, clock=CLOCK, box="box").put(Message("a", "{}"))
    assert len(list(folder.iterdir())) == 1
    database.close()
    assert list(folder.iterdir()) == []


async def waiting(database: Database, receivers: int) -> None:
    await until(lambda: len(database.arrivals._waiting) == receivers)
