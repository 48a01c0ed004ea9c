"""The in-memory table misbehaves on demand, as the distributed ones do of themselves."""

import pytest

from comfyq.domain.errors import TableUnavailable
from comfyq.ports.table import Put
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio


@pytest.fixture
def table(clock: ManualClock) -> MemoryTable:
    return MemoryTable(clock=clock)


JOB = {"pk": "JOB#1", "sk": "META", "version": 1, "apk": "A", "ask": "1"}


async def test_indexes_lag_until_they_are_settled(table: MemoryTable) -> None:
    table.lagging = True
    await table.write(Put(JOB))
    assert (await table.query("active", "A", limit=1)).items == []
    assert (await table.query("main", "JOB#1", limit=1)).items == [JOB]
    table.settle()
    await table.write(Put({**JOB, "ask": "2"}))
    (stale,) = (await table.query("active", "A", limit=1)).items
    assert stale["ask"] == "1"


async def test_a_write_fails_before_it_was_done(table: MemoryTable) -> None:
    table.faults_before.append(TableUnavailable("conflicts"))
    with pytest.raises(TableUnavailable, match="conflicts"):
        await table.write(Put(JOB))
    assert await table.get(("JOB#1", "META")) is None
    await table.write(Put(JOB))


async def test_an_answer_gets_lost_after_the_write(table: MemoryTable) -> None:
    table.faults_after += [TableUnavailable("lost"), TableUnavailable("lost too")]
    with pytest.raises(TableUnavailable, match="lost"):
        await table.write(Put(JOB))
    assert await table.get(("JOB#1", "META")) == JOB
    with pytest.raises(TableUnavailable, match="lost too"):
        await table.add(("RATE", "w"), 1, most=5, ttl=2**40)
    counter = await table.get(("RATE", "w"))
    assert counter is not None
    assert counter["n"] == 1
