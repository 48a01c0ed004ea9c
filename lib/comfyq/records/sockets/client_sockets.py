"""``CLIENT#tenant#…``: the sockets that a client of ComfyUI's API has opened under its own id.

A power cut ends the sockets of its machine, so no write is synced."""

from collections.abc import Sequence
from hashlib import sha256

from comfyq.domain.caller import TenantId
from comfyq.ports.table import Delete, Put, Table
from comfyq.records.subscriptions import FOLLOW_S

MOST = 100  # of one client; more would be a mistake of its own


class ClientSocketRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, tenant: TenantId, client: str, connection_id: str, *, now_s: int) -> None:
        item = {"pk": _partition(tenant, client), "sk": connection_id, "ttl": now_s + FOLLOW_S}
        await self._table.write(Put(item), synced=False)

    async def remove(self, tenant: TenantId, client: str, connection_id: str) -> None:
        await self._table.write(Delete((_partition(tenant, client), connection_id)), synced=False)

    async def of_client(self, tenant: TenantId, client: str) -> Sequence[str]:
        """Return the ids of a client's connections, some of which may have closed."""
        page = await self._table.query("main", _partition(tenant, client), limit=MOST)
        return [item["sk"] for item in page.items]


def _partition(tenant: TenantId, client: str) -> str:
    return f"CLIENT#{tenant}#{sha256(client.encode('utf-8', 'replace')).hexdigest()}"
