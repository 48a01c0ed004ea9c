"""A process that claims every job it can get: run by test_races.py, many at a time.

Prints a line when it is ready, waits for one on its standard input, and prints the jobs it won.
"""

import json
import os
import sys
from pathlib import Path

import anyio

from comfyq.adapters.dynamodb.table import DynamoTable
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.adapters.system.clock import SystemClock
from comfyq.ports.table import ConditionFailed, Put, Table
from tests.fixtures.emulator import Aws


def open_table(kind: str, place: str, name: str) -> Table:
    if kind == "sqlite":
        return SqliteTable(database=Database(path=Path(place)), clock=SystemClock())
    return DynamoTable(client=lambda: Aws(place).dynamodb, table=name, clock=SystemClock())


async def claim(table: Table, pk: str) -> bool:
    claimed = {"pk": pk, "sk": "META", "version": 2, "owner": str(os.getpid())}
    try:
        await table.write(Put(claimed, version=1))
    except ConditionFailed:
        return False
    return True


async def main(kind: str, place: str, name: str, jobs: int) -> None:
    table = open_table(kind, place, name)
    await table.get(("warm", "up"))
    print("ready", flush=True)
    sys.stdin.readline()
    # All in the same order, so that they meet as often as can be.
    keys = [f"JOB#{n}" for n in range(jobs)]
    print(json.dumps([pk for pk in keys if await claim(table, pk)]), flush=True)


if __name__ == "__main__":
    kind, place, name, jobs = sys.argv[1:]
    anyio.run(main, kind, place, name, int(jobs))
