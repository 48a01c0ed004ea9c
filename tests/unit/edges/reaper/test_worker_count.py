import json
from datetime import UTC, datetime

import pytest

from comfyq.domain.job import WorkerId
from comfyq.edges.reaper.worker_count import WorkerCount
from comfyq.records.workers import WorkerRecords, WorkerState
from comfyq.services.operations.health import Health
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.table import MemoryTable

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def state(name: str, seen_at: datetime) -> WorkerState:
    return WorkerState(
        id=WorkerId(name),
        pid=1,
        host="box",
        version="1",
        engine_ok=True,
        seen_at=seen_at,
        started_at=seen_at,
    )


async def test_live_workers_are_told_in_the_embedded_metric_format() -> None:
    clock, lines = ManualClock(NOON), list[str]()
    workers = WorkerRecords(MemoryTable(clock=clock), clock=clock, live_s=20)
    health = Health(workers=workers)
    count = WorkerCount(health=health, clock=clock, table="t-1", emit=lines.append)
    await count.report()
    await workers.beat(state("a", NOON), ttl_s=60)
    await workers.beat(state("b", NOON), ttl_s=60)
    await count.report()
    clock.advance(30)
    await count.report()
    metrics = [json.loads(line) for line in lines]
    assert [line["LiveWorkers"] for line in metrics] == [0, 2, 0]
    assert metrics[1]["_aws"] == {
        "Timestamp": int(NOON.timestamp() * 1000),
        "CloudWatchMetrics": [
            {
                "Namespace": "comfyq",
                "Dimensions": [["Table"]],
                "Metrics": [{"Name": "LiveWorkers", "Unit": "Count"}],
            }
        ],
    }
    assert metrics[1]["Table"] == "t-1"
