from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from comfyq.adapters.dynamodb.table import DynamoTable
from comfyq.adapters.sqlite.database import Database
from comfyq.adapters.sqlite.table import SqliteTable
from comfyq.ports.table import Table
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable


@pytest.fixture
def clock() -> ManualClock:
    # Close to the real time: an emulator deletes by its own clock what expired long ago.
    return ManualClock(datetime.now(UTC))  # noqa: TID251


@pytest.fixture(params=["memory", "sqlite", pytest.param("dynamodb", marks=pytest.mark.dynamodb)])
def table(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Iterator[Table]:
    match request.param:
        case "memory":
            yield MemoryTable(clock=clock)
        case "sqlite":
            database = Database(path=tmp_path / "comfyq.db")
            yield SqliteTable(database=database, clock=clock)
            database.close()
        case _:
            aws, provisioned = (request.getfixturevalue(n) for n in ("aws", "provisioned"))
            yield DynamoTable(client=lambda: aws.dynamodb, table=provisioned.table, clock=clock)
