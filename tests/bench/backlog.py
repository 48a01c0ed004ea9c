"""Does submitting cost more when tens of thousands wait? ``python -m tests.bench.backlog [JOBS]``.

The jobs are put straight into the store, as submission would have left them; no worker runs.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
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
from tests.bench.rounds import Side, in_turns
from tests.bench.series import Series
from tests.processes import Processes

TOGETHER = 500
ROUNDS = 8
SUBMISSIONS = 20  # of a round
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


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        servers = Processes(Path(folder))
        try:
            unlimited = {"COMFYQ_WAITING_JOBS": str(10 * count)}
            empty = servers.up(workers=0, data_dir=Path(folder) / "empty", env=unlimited)
            full = servers.up(workers=0, data_dir=Path(folder) / "full", env=unlimited)
            await fill(full.data_dir, count)
            async with front.front(empty.url) as one, front.front(full.url) as other:
                sides = [Side("0", one, "request"), Side(f"{count:,}", other, "request")]
                await in_turns(sides, 1, submissions)
                rounds = await in_turns(sides, ROUNDS, submissions)
        finally:
            servers.close()
    print("| waiting jobs | submit, p50 / p95 (ms) |")
    print("|---|---|")
    for name, taken in rounds.items():
        print(f"| {name} | {Series(list(chain.from_iterable(taken)))} |")


async def submissions(side: Side) -> Sequence[float]:
    taken, _ids = await submitted_one_by_one(side.client, [REQUEST] * SUBMISSIONS)
    return taken


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 30_000))
