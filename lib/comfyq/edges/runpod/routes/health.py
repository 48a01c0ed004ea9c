"""``/v2/{endpoint}/health``: how many workers there are, and how many jobs of the caller's."""

from typing import Annotated, Protocol

from fastapi import Depends, Response

from comfyq.domain.job import JobStatus
from comfyq.edges.api.authentication import Reader
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.responses import rendered
from comfyq.edges.runpod.router import Endpoint, RunPodRouter
from comfyq.services.limits.submission_limits import SubmissionLimits
from comfyq.services.operations.live_workers import LiveWorkers
from comfyq.wire.runpod.jobs import HealthView, JobCounts, WorkerCounts


class HealthServices(Protocol):
    """The services that this route calls."""

    @property
    def submission_limits(self) -> SubmissionLimits: ...

    @property
    def live_workers(self) -> LiveWorkers: ...


router = RunPodRouter[HealthServices]()


@router.get("/health")
async def health(
    services: Annotated[HealthServices, Depends(services_of)], caller: Reader, endpoint: Endpoint
) -> Response:
    """The workers, and the caller's jobs that go on: a worker that has others' alone is idle."""
    workers = await services.live_workers.list(caller)
    waiting, _ = await services.submission_limits.waiting.used(caller.tenant)
    running = sum(job.status is JobStatus.RUNNING for worker in workers for job in worker.jobs)
    able = [worker for worker in workers if worker.state.takes_jobs]
    busy = sum(bool(worker.jobs) for worker in able)
    return rendered(
        HealthView(
            jobs=JobCounts(inProgress=running, inQueue=waiting),
            workers=WorkerCounts(
                idle=len(able) - busy,
                ready=len(able),
                running=busy,
                unhealthy=len(workers) - len(able),
            ),
        )
    )
