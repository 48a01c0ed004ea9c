"""How long one tenant's jobs wait behind another's flood: ``python -m tests.bench.fairness``.

    python -m tests.bench.fairness [FLOOD [PERIOD_S]]

One tenant sends FLOOD jobs at once, another one a job each PERIOD_S until they have been run. In
the second column the flood is the same tenant's, so that its jobs go by age.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import read_settings
from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.request import Request
from comfyq.records.indexes.waiting_jobs import WaitingRecords
from tests.bench.series import Series
from tests.processes import Processes

SENDERS = 16  # of the flood, at the same time
STEPS, STEP_S = 2, 0.025  # of each job
ONE, OTHER = (Caller(TenantId(name), frozenset(Scope)) for name in ("one", "other"))


async def waits(
    backend: str, *, workers: int, flood: int, period_s: float, flooder: Caller
) -> Sequence[float]:
    """Return how long each job of ONE waited until ComfyUI began it, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        servers = Processes(Path(folder))
        try:
            up = servers.up(workers=0, backend=backend)
            ports = open_ports(settings := read_settings(up.exports))
            services = Services(settings, ports)
            await send(services, ONE)  # so that a second tenant is no news
            for _ in range(workers):
                simulator = servers.simulator(options=("--step-s", STEP_S))
                servers.worker(comfyui=[simulator.url], up=up)
            await asyncio.gather(*(_flood(services, flooder, flood) for _ in range(SENDERS)))
            sent = [await send(services, ONE)]
            waiting = WaitingRecords(ports.table)
            while await waiting.count(flooder.tenant, most=workers + 1) > workers:
                await asyncio.sleep(period_s)
                sent.append(await send(services, ONE))
            began = [await _begun(services, job.id) for job in sent]
            ports.close()
        finally:
            servers.close()
    return [_wait_s(job) for job in began]


async def send(services: Services, caller: Caller) -> Job:
    values = {"prompt": "a fox", "width": 64, "height": 64, "steps": STEPS}
    request = Request(workflow="flux-dev", values=values)
    return (await services.submission.submit(caller, request)).job


async def _flood(services: Services, caller: Caller, count: int) -> None:
    for _ in range(count // SENDERS):
        await send(services, caller)


async def _begun(services: Services, job_id: JobId) -> Job:
    while (job := await services.records.get(job_id)).started_at is None:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return job


def _wait_s(job: Job) -> float:
    assert job.started_at is not None, "the caller waited for it"
    return (job.started_at - job.created_at).total_seconds()


async def main(flood: int, period_s: float) -> None:
    print(f"| a job each {period_s:g} s, behind {flood:,} | by turns, p50 / p95 (s) | by age |")
    print("|---|---|---|", flush=True)
    for backend in ("embedded", "emulator"):
        for workers in (1, 4):
            cells = []
            for flooder in (OTHER, ONE):
                taken = await waits(
                    backend, workers=workers, flood=flood, period_s=period_s, flooder=flooder
                )
                series = Series(taken)
                cells.append(f"{series.p50_ms / 1e3:.1f} / {series.p95_ms / 1e3:.1f}")
            name = f"{backend}, {workers} worker{'s' if workers > 1 else ''}"
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    flood, *period = sys.argv[1:] or ["2000"]
    asyncio.run(main(int(flood), float(period[0]) if period else 5.0))
