"""Requests of each tenant, counted by window."""

from comfyq.domain.caller import TenantId
from comfyq.ports.table import Table


class RequestCounts:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def count(self, tenant: TenantId, *, window: int, cap: int, ttl: int) -> bool:
        """Count one request; False: the tenant has used its ``cap`` up.

        ``ttl`` is the time, in epoch seconds, at which the window's count is forgotten.
        """
        return await self._table.count((f"RATE#{tenant}#{window}", "-"), cap=cap, ttl=ttl)
