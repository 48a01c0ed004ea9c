"""Usual run times of each workflow; a hint, so the last write wins."""

from comfyq.domain.job.run_time import RunTime
from comfyq.ports.table import Put, Table

MICROSECONDS = 1_000_000


class RunTimeRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def usual(self, workflow: str) -> RunTime | None:
        """The time of a run and of its nodes; None if no job of the workflow has ended yet."""
        item = await self._table.get(_key(workflow))
        if item is None:
            return None
        nodes = {key: us / MICROSECONDS for key, us in item.get("nodes", {}).items()}
        return RunTime(item["ms"] / 1000, nodes)

    async def usual_s(self, workflow: str) -> float | None:
        """Seconds from the start to the stored results; None if no job of it has ended yet."""
        usual = await self.usual(workflow)
        return None if usual is None else usual.seconds

    async def put(self, workflow: str, usual: RunTime | float) -> None:
        """Store the time of a run; a number says nothing of its nodes."""
        known = usual if isinstance(usual, RunTime) else RunTime(usual)
        nodes = {key: round(took_s * MICROSECONDS) for key, took_s in known.nodes.items()}
        pk, sk = _key(workflow)
        item = {"pk": pk, "sk": sk, "ms": round(known.seconds * 1000), "nodes": nodes}
        await self._table.write(Put(item))


def _key(workflow: str) -> tuple[str, str]:
    return f"RUNTIME#{workflow}", "-"
