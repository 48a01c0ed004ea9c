import json
from collections.abc import Callable, Sequence
from typing import Any

from comfyq.domain.errors import TableUnavailable
from comfyq.ports.table import Item, Key, Page, Put, Sum, Table, Write
from comfyq.testing.faults.rules import Faults, Rule


class FaultyTable:
    def __init__(self, table: Table, rules: Sequence[Rule]) -> None:
        self._table = table
        self._faults = Faults(rules, port="table", error=TableUnavailable)

    async def get(self, key: Key) -> Item | None:
        return await self._faults.ask("get", lambda: _dump(key), lambda: self._table.get(key))

    async def query(self, index: str, partition: str, **page: Any) -> Page:
        return await self._faults.ask(
            "query",
            lambda: f"{index} {partition}",
            lambda: self._table.query(index, partition, **page),
        )

    async def write(self, *writes: Write, synced: bool = True) -> None:
        await self._faults.around(
            "write", described(writes), lambda: self._table.write(*writes, synced=synced)
        )

    async def add(self, key: Key, by: int, **bounds: int) -> Sum:
        return await self._faults.ask(
            "add", lambda: _dump(key), lambda: self._table.add(key, by, **bounds)
        )


def described(writes: Sequence[Write]) -> Callable[[], str]:
    return lambda: _dump([write.item if isinstance(write, Put) else write.key for write in writes])


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
