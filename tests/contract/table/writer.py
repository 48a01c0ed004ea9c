"""A process that writes until it is killed, printing what was acknowledged: see test_sqlite.py."""

import sys
from pathlib import Path

import anyio

from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.queue import SqliteQueue
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.adapters.system.clock import SystemClock
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobId
from comfyq.ports.table import Put


async def main(path: str, first: int) -> None:
    database = Database(path=Path(path))
    table = SqliteTable(database=database, clock=SystemClock())
    queue = SqliteQueue(database=database, clock=SystemClock())
    for n in range(first, sys.maxsize):
        job = {"pk": f"JOB#{n}", "version": 1, "blob": "x" * 2000}
        await table.write(Put({**job, "sk": "META"}, absent=True), Put({**job, "sk": "SPEC"}))
        await queue.send(JobId(str(n)), tenant=DEFAULT_TENANT)
        print(n, flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[2]))
