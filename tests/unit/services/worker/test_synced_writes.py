"""States of a job that somebody was told of are synced: no power cut undoes them."""

import pytest

from comfyq.ports.table import Put, Write
from comfyq.testing.memory.table import MemoryTable
from tests.farm import Farm

pytestmark = pytest.mark.anyio


class SyncedTable(MemoryTable):
    """Note the states of jobs that are stored, by whether a power cut may undo them."""

    def __init__(self, farm: Farm) -> None:
        super().__init__(clock=farm.clock)
        self.safe: list[tuple[str, bool]] = []
        self.unsafe: list[tuple[str, bool]] = []

    async def write(self, *writes: Write, synced: bool = True) -> None:
        await super().write(*writes, synced=synced)
        (self.safe if synced else self.unsafe).extend(
            (write.item["status"], "claimed" in write.item)
            for write in writes
            if isinstance(write, Put) and "status" in write.item
        )


@pytest.fixture
def table(farm: Farm) -> SyncedTable:
    farm.table = table = SyncedTable(farm)
    farm.open()
    return table


async def test_a_power_cut_undoes_claims_and_notes_but_nothing_that_a_client_saw(
    farm: Farm, table: SyncedTable
) -> None:
    await farm.follow(await farm.submit())
    assert await farm.worker("w1").run_once()
    assert table.safe == [("queued", False), ("running", True), ("succeeded", True)]
    assert ("queued", True) in table.unsafe, "the claim"
    assert ("succeeded", True) in table.unsafe, "the end's announcement"
    assert {status for status, _ in table.unsafe} <= {"queued", "running", "succeeded"}


async def test_a_claim_that_ends_the_job_is_synced(farm: Farm, table: SyncedTable) -> None:
    job = await farm.submit()
    await farm.cancel(job)
    await farm.worker("w1").run_once()
    assert table.safe[-1][0] == "canceled"
