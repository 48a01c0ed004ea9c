"""Secrets that all processes of a deployment share, made by whichever comes first."""

from collections.abc import Callable

from comfyq.ports.table import ConditionFailed, Put, Table


class SecretRecords:
    def __init__(self, table: Table, *, new_secret: Callable[[], str]) -> None:
        self._table = table
        self._new_secret = new_secret

    async def shared(self, name: str) -> bytes:
        """The secret called ``name``; made and stored at the first call ever."""
        key = (f"SECRET#{name}", "-")
        item = await self._table.get(key)
        if item is None:
            item = {"pk": key[0], "sk": key[1], "value": self._new_secret()}
            try:
                await self._table.write(Put(item, absent=True))
            except ConditionFailed as refused:
                item = refused.found[0] or await self._table.get(key)
                assert item is not None, "a secret is never deleted"
        return str(item["value"]).encode()
