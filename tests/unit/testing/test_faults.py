"""The ports that fail on demand do so exactly where they are told to."""

import subprocess
import sys

import pytest

from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId
from comfyq.ports.table import Put
from comfyq.testing.faults.queue import FaultyQueue
from comfyq.testing.faults.rules import rules_of
from comfyq.testing.faults.table import FaultyTable
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.queue import MemoryQueue
from comfyq.testing.memory.table import MemoryTable
from tests.scripted_engine import until

WRITE = {"port": "table", "call": "write"}


def item(name: str, status: str = "queued") -> Put:
    return Put({"pk": name, "sk": "-", "status": status})


@pytest.mark.anyio
async def test_only_calls_that_are_about_it_count() -> None:
    about = '"status":"succeeded"'
    rules = rules_of([{**WRITE, "about": about, "at": 2, "do": "raise"}])
    table = FaultyTable(MemoryTable(clock=ManualClock()), rules)
    await table.write(item("a"))
    await table.write(item("b", "succeeded"))
    with pytest.raises(TableUnavailable):
        await table.write(item("c", "succeeded"))
    await table.write(item("d", "succeeded"))
    stored = [await table.get((name, "-")) is not None for name in "abcd"]
    assert stored == [True, True, False, True]


@pytest.mark.anyio
async def test_after_a_call_its_answer_alone_is_lost() -> None:
    rules = rules_of([{**WRITE, "when": "after", "do": "raise"}])
    table = FaultyTable(MemoryTable(clock=ManualClock()), rules)
    with pytest.raises(TableUnavailable):
        await table.write(item("a"))
    assert await table.get(("a", "-")) is not None


@pytest.mark.anyio
async def test_messages_are_lost_and_repeated() -> None:
    send = {"port": "queue", "call": "send"}
    rules = rules_of([{**send, "do": "lose"}, {**send, "at": 2, "do": "repeat"}])
    inner = MemoryQueue(clock=ManualClock())
    queue = FaultyQueue(inner, rules)
    counts = []
    for _ in range(3):
        await queue.send(JobId("a"), tenant=DEFAULT_TENANT)
        counts.append(len(inner.messages))
    assert counts == [0, 2, 3]


@pytest.mark.anyio
async def test_every_second_message_comes_behind_the_next() -> None:
    send = {"port": "queue", "call": "send"}
    rules = rules_of([{**send, "do": "late", "seconds": 0.01, "every": 2, "times": 2}])
    inner = MemoryQueue(clock=ManualClock())
    queue = FaultyQueue(inner, rules)
    for name in "abcde":
        await queue.send(JobId(name), tenant=DEFAULT_TENANT)
    assert [each.job_id for each in inner.messages] == ["b", "d", "e"]
    await until(lambda: len(inner.messages) == 5)
    assert [each.job_id for each in inner.messages] == ["b", "d", "e", "a", "c"]


@pytest.mark.anyio
async def test_a_rule_that_is_none_is_refused() -> None:
    for wrong in (
        {"port": "table", "call": "send", "do": "kill"},
        {**WRITE, "do": "explode"},
        {**WRITE, "do": "kill", "whenn": "after"},
    ):
        with pytest.raises(ValueError, match="no "):
            rules_of([wrong])


def test_a_kill_leaves_no_time_for_anything() -> None:
    script = (
        "import asyncio; from comfyq.testing.faults.rules import *; "
        "faults = Faults(rules_of([dict(port='queue', call='send', do='kill')]), port='queue', "
        "error=RuntimeError)\n"
        "async def work(): print('made', flush=True)\n"
        "try: asyncio.run(faults.around('send', str, work))\n"
        "finally: print('cleaned up', flush=True)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout) == (-9, b"")
