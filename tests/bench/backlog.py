"""Does submitting cost more when 100,000 jobs wait? ``python -m tests.bench.backlog [JOBS]``.

The jobs are put straight into the store, as submission would have left them; no worker runs.
"""

import asyncio
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import Settings
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobId
from comfyq.domain.submission.spec import Spec
from tests.bench import front
from tests.bench.client import submitted_one_by_one
from tests.bench.series import Series
from tests.processes import Processes

TOGETHER = 500
SUBMISSIONS = 100
REQUEST = {"prompt": "a sunset over mountains", "width": 64, "height": 64}


async def fill(data_dir: Path, count: int) -> None:
    """Waiting jobs whose doorbells have rung."""
    ports = open_ports(Settings(data_dir=data_dir))
    services = Services(Settings(data_dir=data_dir), ports)
    workflow = services.workflows.get("flux-dev")
    resolved = workflow.resolve(REQUEST, draw_seed=lambda: 1)
    spec = Spec(graph=workflow.bind(resolved.parameters), parameters=resolved.parameters)
    now = datetime.now(UTC)  # noqa: TID251 - there is no clock port in a benchmark

    async def put() -> None:
        job = jobs.submitted(
            id=JobId(str(uuid4())),
            tenant=DEFAULT_TENANT,
            workflow=workflow.name,
            family=workflow.family,
            created_at=now,
        )
        await services.records.create(replace(job, rung_at=now, due_at=now + jobs.RING_AGAIN), spec)
        await ports.queue.send(job.id, tenant=job.tenant)

    for _ in range(count // TOGETHER):
        await asyncio.gather(*(put() for _ in range(TOGETHER)))
    ports.close()


async def submissions(url: str) -> Series:
    async with front.front(url) as client:
        await submitted_one_by_one(client, [REQUEST] * 10)
        took, _ids = await submitted_one_by_one(client, [REQUEST] * SUBMISSIONS)
        return Series(took)


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        servers = Processes(Path(folder))
        try:
            up = servers.up(workers=0, data_dir=data_dir)
            empty = await submissions(up.url)
            await fill(data_dir, count)
            full = await submissions(up.url)
        finally:
            servers.close()
    print("| waiting jobs | submit, p50 / p95 (ms) |")
    print("|---|---|")
    print(f"| 0 | {empty} |")
    print(f"| {count:,} | {full} |")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
