"""The list of model families: bounded, shared among tenants, and forgetful."""

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId
from comfyq.ports.table import Put
from comfyq.records.demand import KEPT_S, MOST, OTHERS, DemandRecords
from tests.farm import Farm

pytestmark = pytest.mark.anyio


@pytest.fixture
def demand(farm: Farm) -> DemandRecords:
    return DemandRecords(farm.table, clock=farm.clock)


async def noted(farm: Farm, demand: DemandRecords, tenant: str, family: str) -> str:
    """Return the family that a new job is found in."""
    job = jobs.submitted(
        id=JobId("j"),
        tenant=TenantId(tenant),
        workflow="w",
        family=family,
        created_at=farm.clock.now(),
    )
    return (await demand.note(job)).family


async def test_a_tenant_s_families_leave_room_for_others(farm: Farm, demand: DemandRecords) -> None:
    families = [f"f{number}" for number in range(MOST // 2 + 3)]
    got = [await noted(farm, demand, "alice", family) for family in families]
    assert got == [*families[:-3], OTHERS, OTHERS, OTHERS]
    assert await noted(farm, demand, "bob", "sdxl") == "sdxl"
    assert await noted(farm, demand, "alice", "sdxl") == "sdxl", "it is in the list already"
    assert sorted(await demand.families()) == sorted({*got, "sdxl"})


async def test_two_tenants_with_many_families_leave_room_as_well(
    farm: Farm, demand: DemandRecords
) -> None:
    for tenant in ("alice", "bob"):
        for number in range(MOST):
            await noted(farm, demand, tenant, f"{tenant}-{number}")
    for tenant in ("carol", "dan", "erin"):
        assert await noted(farm, demand, tenant, tenant) == tenant


async def test_the_list_is_bounded_whoever_fills_it(farm: Farm, demand: DemandRecords) -> None:
    for number in range(3 * MOST):
        await noted(farm, demand, f"tenant-{number}", f"f{number}")
    assert len(await demand.families()) == MOST + 1
    assert OTHERS in await demand.families()


async def test_jobs_of_a_family_without_room_read_the_list_once(
    farm: Farm, demand: DemandRecords
) -> None:
    """And again after some minutes: there may be room by then."""
    for number in range(MOST + 10):
        await noted(farm, demand, f"tenant-{number}", f"f{number}")
    assert await noted(farm, demand, "alice", "mine") == OTHERS
    listed = farm.table.listed
    assert {await noted(farm, demand, "alice", "mine") for _ in range(20)} == {OTHERS}
    assert farm.table.listed == listed
    farm.clock.advance(KEPT_S + 1)
    assert await noted(farm, demand, "alice", "mine") == "mine"


async def test_families_that_nobody_asks_for_make_room(farm: Farm, demand: DemandRecords) -> None:
    for number in range(MOST // 2):
        await noted(farm, demand, "alice", f"f{number}")
    farm.clock.advance(KEPT_S / 2)
    await noted(farm, demand, "bob", "f0")
    farm.clock.advance(KEPT_S / 2 + 1)
    assert await demand.families() == ["f0"]
    assert await noted(farm, demand, "alice", "new") == "new"


async def test_what_a_former_version_stored_for_ever_makes_room(
    farm: Farm, demand: DemandRecords
) -> None:
    for number in range(2 * MOST):
        await farm.table.write(Put({"pk": "FAMILY", "sk": f"old-{number:03}"}))
    for number in range(2 * MOST):
        assert await noted(farm, demand, "alice", f"new-{number}") == OTHERS
    farm.clock.advance(KEPT_S + 1)
    assert await noted(farm, demand, "alice", "new") == "new"
    assert await demand.families() == ["new"]


async def test_a_family_is_read_and_written_once_a_day(farm: Farm, demand: DemandRecords) -> None:
    await noted(farm, demand, "alice", "flux")
    farm.table.query = None  # type: ignore[assignment,method-assign]
    farm.table.write = None  # type: ignore[assignment,method-assign]
    assert await noted(farm, demand, "alice", "flux") == "flux"
