"""What belongs to a tenant is found and deleted on every table, and nothing of another one."""

from uuid import uuid4

import pytest

from comfyq.domain.caller import TenantId
from comfyq.ports.table import Put, Table
from comfyq.records.indexes.tenant_data import Portion, TenantPartitions

pytestmark = pytest.mark.anyio

PARTS = 30  # of one thing: more than one transaction deletes


async def store(table: Table, tenant: TenantId, name: str) -> str:
    """Store a thing in many items, of which the index lists one."""
    pk = f"BATCH#{tenant}-{name}"
    await table.write(Put({"pk": pk, "sk": "META", "tpk": f"BATCHES#{tenant}", "tsk": name}))
    parts = [Put({"pk": pk, "sk": f"REFUSED#{n:03d}"}) for n in range(PARTS)]
    for at in range(0, PARTS, 10):
        await table.write(*parts[at : at + 10])
    return pk


async def items_of(table: Table, pk: str) -> int:
    return len((await table.query("main", pk, limit=100)).items)


async def test_all_items_of_a_tenants_things_are_deleted(table: Table) -> None:
    mine, other = TenantId(uuid4().hex), TenantId(uuid4().hex)
    gone = [await store(table, mine, name) for name in ("a", "b", "c")]
    stays = await store(table, other, "a")
    seen: list[str] = []

    async def first(pk: str) -> None:
        assert await items_of(table, pk) == PARTS + 1, "nothing of it is deleted before"
        seen.append(pk)

    batches = TenantPartitions(table, listed_under="BATCHES", first=first)
    assert await batches.delete_some(mine, most=2) == Portion(2, is_last=False)
    assert await batches.delete_some(mine, most=2) == Portion(1, is_last=True)
    assert await batches.delete_some(mine, most=2) == Portion(0, is_last=True)
    assert seen == gone
    assert [await items_of(table, pk) for pk in (*gone, stays)] == [0, 0, 0, PARTS + 1]
