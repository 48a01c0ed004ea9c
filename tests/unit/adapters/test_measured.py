"""Ports that count their calls, as every process has them."""

from pathlib import Path

import pytest

from comfyq.adapters.measured.queue import MeasuredQueue
from comfyq.adapters.measured.table import MeasuredTable
from comfyq.bootstrap.backends import open_ports
from comfyq.config import Settings
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import QueueUnavailable, TableUnavailable
from comfyq.domain.job import JobId
from comfyq.ports.joint import Doorbell
from comfyq.ports.table import ConditionFailed, Put
from comfyq.telemetry.metrics import Counter
from comfyq.telemetry.numbers import (
    QUEUE_CALLS,
    QUEUE_ERRORS,
    TABLE_CALLS,
    TABLE_ERRORS,
    TABLE_SECONDS,
)
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.queue import MemoryQueue
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio

ITEM = {"pk": "A", "sk": "B"}


def numbers(counter: Counter) -> dict[str, float]:
    return {operation: value for (operation,), value in counter.values()}


def grown(counter: Counter, before: dict[str, float]) -> dict[str, float]:
    now = numbers(counter)
    return {name: now[name] - before.get(name, 0) for name in now if now[name] != before.get(name)}


async def test_the_calls_of_a_backends_ports_are_counted(tmp_path: Path) -> None:
    calls, seconds, sends = (numbers(each) for each in (TABLE_CALLS, TABLE_SECONDS, QUEUE_CALLS))
    ports = open_ports(Settings(data_dir=tmp_path))
    assert ports.joint is not None
    try:
        await ports.table.write(Put(ITEM, absent=True))
        with pytest.raises(ConditionFailed):
            await ports.table.write(Put(ITEM, absent=True))
        await ports.table.get(("A", "B"))
        await ports.table.query("main", "A", limit=1)
        await ports.table.add(("C", "D"), 1, most=2, ttl=2**31)
        ring = Doorbell(JobId("j"), DEFAULT_TENANT)
        await ports.joint.write(Put({"pk": "E", "sk": "F"}), ring=ring)
        await ports.queue.send(JobId("k"), tenant=DEFAULT_TENANT)
        await ports.queue.send_many([JobId("l")], tenant=DEFAULT_TENANT)
        received = [await ports.queue.receive(wait_s=0) for _ in range(3)]
    finally:
        ports.close()
    assert {each.job_id for each in received if each} == {"j", "k", "l"}
    assert grown(TABLE_CALLS, calls) == {"write": 3, "get": 1, "query": 1, "add": 1}
    assert grown(QUEUE_CALLS, sends) == {"send": 1, "send_many": 1, "receive": 3}
    assert all(value > 0 for value in grown(TABLE_SECONDS, seconds).values())


class AwayTable(MemoryTable):
    async def get(self, key: object) -> None:
        raise TableUnavailable("no answer")


class AwayQueue(MemoryQueue):
    async def send(self, *_: object, **__: object) -> None:
        raise QueueUnavailable("no answer")


async def test_calls_that_are_not_answered_count_as_errors_too() -> None:
    clock = ManualClock()
    gets, sends = numbers(TABLE_ERRORS), numbers(QUEUE_ERRORS)
    with pytest.raises(TableUnavailable):
        await MeasuredTable(AwayTable(clock=clock)).get(("A", "B"))
    with pytest.raises(QueueUnavailable):
        await MeasuredQueue(AwayQueue(clock=clock)).send(JobId("j"), tenant=DEFAULT_TENANT)
    assert grown(TABLE_ERRORS, gets) == {"get": 1}
    assert grown(QUEUE_ERRORS, sends) == {"send": 1}
