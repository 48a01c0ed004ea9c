"""Waiting jobs of several families, tenants and priorities, and workers that choose among them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from uuid import uuid4

from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.graph.graph import Graph
from comfyq.domain.job import Job, JobId
from comfyq.domain.job.model import NORMAL_PRIORITY
from comfyq.domain.submission.spec import Spec
from comfyq.edges.worker.job_source import JobSource
from comfyq.records.demand import DemandRecords
from comfyq.records.indexes.ready_jobs import ReadyRecords
from comfyq.services.worker.choice.affinity import Affinity
from comfyq.services.worker.choice.ready_jobs import ReadyJobs
from comfyq.services.worker.choice.turns import Turns
from comfyq.services.worker.held_job import HeldJob
from tests.farm import GRAPH, Farm

ALICE, BOB, CAROL = (TenantId(name) for name in ("alice", "bob", "carol"))


async def waiting(
    farm: Farm,
    family: str = "flux",
    *,
    tenant: TenantId = DEFAULT_TENANT,
    priority: int = NORMAL_PRIORITY,
    graph: Graph = GRAPH,
) -> Job:
    job = jobs.submitted(
        id=JobId(str(uuid4())),
        tenant=tenant,
        workflow="w",
        family=family,
        priority=priority,
        created_at=farm.clock.now(),
    )
    job = await DemandRecords(farm.table, clock=farm.clock).note(job)
    await farm.records.create(job, Spec(graph=graph, parameters={}))
    await farm.queue.send(job.id, tenant=job.tenant)
    farm.clock.advance(0.001)
    return job


def turns_of(farm: Farm, *, max_wait_s: float | None = 60, alone_s: float = 0) -> Turns:
    """Return the choices of one worker; without ``max_wait_s`` the loaded models do not count."""
    demand = DemandRecords(farm.table, clock=farm.clock)
    ready = ReadyJobs(
        ready=ReadyRecords(farm.table),
        demand=demand,
        clock=farm.clock,
        running=farm.services.running_jobs,
    )
    affinity = None if max_wait_s is None else Affinity(max_wait_s=max_wait_s)
    return Turns(ready=ready, affinity=affinity, clock=farm.clock, alone_s=alone_s)


async def flood(
    farm: Farm, tenant: TenantId, count: int, *, priority: int = NORMAL_PRIORITY
) -> list[Job]:
    return [await waiting(farm, tenant=tenant, priority=priority) for _ in range(count)]


class Claimer:
    """A worker that claims without running anything, and notes whose jobs it got."""

    def __init__(self, farm: Farm, name: str, *, alone_s: float = 0) -> None:
        worker = farm.worker(name)
        self.claims = worker.claims
        self.turns = turns_of(farm, alone_s=alone_s)
        self.source = JobSource(
            claims=worker.claims,
            queue=farm.queue,
            turns=self.turns,
            wait_s=0,
            may_claim=lambda: True,
            aside=worker.parts.aside,
        )
        self.took: list[Job] = []
        self.held: list[HeldJob] = []

    async def claim(self) -> Job | None:
        """Claim a job as the worker's loop does; None if there is none."""
        claim = await self.source.suited() or await self.source.rung()
        held = await claim() if claim else None
        if held is None:
            return None
        self.source.began(held)
        self.took.append(held.job)
        self.held.append(held)
        return held.job

    async def claim_all(self) -> Sequence[TenantId]:
        """Claim until nothing is left, and return whose jobs these were, in order."""
        while await self.claim() is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return [job.tenant for job in self.took]

    async def succeed(self) -> None:
        """End the job that was claimed first."""
        held = self.held.pop(0)
        await held.write(partial(jobs.start, token=held.token))
        await held.write(partial(jobs.succeed, token=held.token), outputs=())
        await held.acknowledge()
        self.claims.let_go(held)

    async def give_back(self, retry_s: float) -> None:
        """Let the job that was claimed first wait for its retry."""
        held = self.held.pop(0)
        pause = timedelta(seconds=retry_s)
        await held.write(partial(jobs.release, token=held.token, reason="again", retry_in=pause))
        await held.give_back(delay_s=retry_s)
        self.claims.let_go(held)
