"""Model families that jobs ask for: the partitions in which workers look for waiting jobs."""

from collections.abc import Sequence

from comfyq.ports.table import Put, Table

PARTITION = "FAMILY"
MOST = 200  # families that workers look for; jobs of others still come through the queue


class FamilyRecords:
    def __init__(self, table: Table) -> None:
        self._table = table
        self._noted: set[str] = set()

    async def note(self, family: str) -> None:
        """Make a family known; costs a write once in a process."""
        if family not in self._noted:
            await self._table.write(Put({"pk": PARTITION, "sk": family}))
            self._noted.add(family)

    async def known(self) -> Sequence[str]:
        page = await self._table.query("main", PARTITION, limit=MOST)
        return [item["sk"] for item in page.items]
