"""Turns of tenants among worker processes: the order in which they claim, on a real store."""

import asyncio

import pytest

from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import read_settings
from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.job import Job
from comfyq.domain.submission.request import Request
from tests.fixtures.emulator import ENVIRONMENT
from tests.processes import Processes

WORKERS = 2
FLOOD = 24
ALICE, BOB = (Caller(TenantId(name), frozenset(Scope)) for name in ("alice", "bob"))


async def send(services: Services, caller: Caller) -> Job:
    values = {"prompt": "a fox", "width": 64, "height": 64, "steps": 1}
    request = Request(workflow="flux-dev", values=values)
    return (await services.submission.submit(caller, request)).job


async def ended(services: Services, job: Job) -> Job:
    while not job.status.terminal:
        await asyncio.sleep(0.05)
        job = await services.records.get(job.id)
    return job


@pytest.mark.anyio
@pytest.mark.parametrize("backend", ["embedded", "emulator"])
async def test_a_flood_lets_anothers_jobs_through(processes: Processes, backend: str) -> None:
    if backend == "emulator" and not ENVIRONMENT.exists():
        pytest.skip("the emulator is not installed: run make emulator")
    up = processes.up(workers=0, backend=backend)
    services = Services(settings := read_settings(up.exports), open_ports(settings))
    sent = [await send(services, ALICE) for _ in range(FLOOD)]
    sent += [await send(services, BOB) for _ in range(3)]
    for _ in range(WORKERS):
        simulator = processes.simulator(options=("--step-s", 0.01))
        processes.worker(comfyui=[simulator.url], up=up)
    async with asyncio.timeout(60):
        done = [await ended(services, job) for job in sent]
    services.ports.close()
    assert {job.status for job in done} == {"succeeded"}
    assert all(job.attempt == 1 for job in done), "none was claimed twice"
    order = [job.tenant for job in sorted(done, key=lambda job: job.claimed_at or job.created_at)]
    last = max(place for place, tenant in enumerate(order) if tenant == BOB.tenant)
    assert last <= 3 * (WORKERS + 1), f"each worker takes one of Alice's for one of Bob's: {order}"
