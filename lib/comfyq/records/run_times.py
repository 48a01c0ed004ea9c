"""Usual run times of each workflow; a hint, so the last write wins."""

from comfyq.ports.table import Put, Table


class RunTimeRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def usual_s(self, workflow: str) -> float | None:
        """Seconds from the start to the stored results; None if no job of it has ended yet."""
        item = await self._table.get(_key(workflow))
        return None if item is None else item["ms"] / 1000

    async def put(self, workflow: str, usual_s: float) -> None:
        pk, sk = _key(workflow)
        await self._table.write(Put({"pk": pk, "sk": sk, "ms": round(usual_s * 1000)}))


def _key(workflow: str) -> tuple[str, str]:
    return f"RUNTIME#{workflow}", "-"
