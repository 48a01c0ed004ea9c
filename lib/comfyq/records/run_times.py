"""``RUNTIME#tenant``: usual run times of a tenant's workflows, of its own jobs alone, so that no
estimate tells of another's. A hint: the last write wins."""

from comfyq.domain.caller import TenantId
from comfyq.domain.job.run_time import RunTime
from comfyq.ports.table import Delete, Key, Put, Table
from comfyq.records.indexes.tenant_data import Portion

MICROSECONDS = 1_000_000


class RunTimeRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def usual(self, tenant: TenantId, workflow: str) -> RunTime | None:
        """The time of a run and of its nodes; None if no such job of the tenant has ended yet."""
        item = await self._table.get(_key(tenant, workflow))
        if item is None:
            return None
        nodes = {key: us / MICROSECONDS for key, us in item.get("nodes", {}).items()}
        return RunTime(item["ms"] / 1000, nodes)

    async def usual_s(self, tenant: TenantId, workflow: str) -> float | None:
        """Seconds from the start to the stored results; None if none of these has ended yet."""
        usual = await self.usual(tenant, workflow)
        return None if usual is None else usual.seconds

    async def put(self, tenant: TenantId, workflow: str, usual: RunTime | float) -> None:
        """Store the time of a run; a number says nothing of its nodes."""
        known = usual if isinstance(usual, RunTime) else RunTime(usual)
        nodes = {key: round(took_s * MICROSECONDS) for key, took_s in known.nodes.items()}
        pk, sk = _key(tenant, workflow)
        item = {"pk": pk, "sk": sk, "ms": round(known.seconds * 1000), "nodes": nodes}
        await self._table.write(Put(item))

    async def delete_some(self, tenant: TenantId, *, most: int) -> Portion:
        """Delete up to ``most`` of a tenant's run times."""
        page = await self._table.query("main", _key(tenant, "")[0], limit=most)
        for item in page.items:
            await self._table.write(Delete((item["pk"], item["sk"])))
        return Portion(len(page.items), page.cursor is None)


def _key(tenant: TenantId, workflow: str) -> Key:
    return f"RUNTIME#{tenant}", workflow
