"""Tickets: ``TICKET#hash`` / ``META``. The hash alone: who reads the table cannot use one."""

from comfyq.domain.caller import Caller
from comfyq.ports.table import ConditionFailed, Delete, Put, Table
from comfyq.records.subscriptions import caller_fields, caller_in


class TicketRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, ticket_hash: str, caller: Caller, *, ttl: int) -> None:
        """Keep whom a ticket lets in, until ``ttl`` (epoch seconds)."""
        place = {"pk": f"TICKET#{ticket_hash}", "sk": "META", "version": 1, "ttl": ttl}
        await self._table.write(Put({**place, **caller_fields(caller)}, absent=True))

    async def take(self, ticket_hash: str) -> Caller | None:
        """Return whom a ticket lets in, once; None: it was taken, or there never was such."""
        key = (f"TICKET#{ticket_hash}", "META")
        item = await self._table.get(key)
        if item is None:
            return None
        try:
            await self._table.write(Delete(key, version=1))
        except ConditionFailed:  # another handshake took it since
            return None
        return caller_in(item)
