"""``/v2/{endpoint}``: graphs to run, and what became of them.

A client that leaves while it waits cancels nothing: RunPod's do not, and the job can be asked for.
"""

from contextlib import suppress
from typing import Annotated, Protocol

from fastapi import Depends, Query, Request, Response

from comfyq.domain.caller import Caller, Scope
from comfyq.domain.errors import NotifierUnavailable
from comfyq.domain.job import Job
from comfyq.domain.submission.request import Request as Asked
from comfyq.edges.api.authentication import Canceler, Reader, needs
from comfyq.edges.api.dependencies import require_json, services_of, streams_of
from comfyq.edges.api.ids import JobIdInPath
from comfyq.edges.api.open_answers.preferred_wait import LONGEST_S, WaitServices, held
from comfyq.edges.runpod.pictures import with_pictures
from comfyq.edges.runpod.router import Endpoint, RunPodRouter
from comfyq.edges.runpod.views import Views, ViewServices, brief, sent
from comfyq.ports.notifier import TooManyStreams
from comfyq.services.files.uploads import Uploads
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.jobs.submission import Submission
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.services.workflows.node_catalogues import KnownCatalogues
from comfyq.wire.runpod.requests import RunRequest

LEAST_MS, USUAL_MS, MOST_MS = 1_000, 90_000, 300_000  # that a client may wait
CANCEL_S = 2.0  # for its worker to stop; the client waits for three


class JobRouteServices(ViewServices, WaitServices, Protocol):
    """The services that these routes call."""

    @property
    def submission(self) -> Submission: ...

    @property
    def cancellation(self) -> Cancellation: ...

    @property
    def catalogues(self) -> KnownCatalogues: ...

    @property
    def uploads(self) -> Uploads: ...

    @property
    def rate_limit(self) -> RateLimit: ...


GraphSubmitter = Annotated[Caller, needs(Scope.SUBMIT, Scope.GRAPH)]
GraphRunner = Annotated[Caller, needs(Scope.SUBMIT, Scope.GRAPH, Scope.READ)]
Services = Annotated[JobRouteServices, Depends(services_of)]

router = RunPodRouter[JobRouteServices]()


@router.post("/run", dependencies=[Depends(require_json)])
async def run(
    body: RunRequest, services: Services, caller: GraphSubmitter, views: Views, endpoint: Endpoint
) -> Response:
    """Run a graph, and answer at once."""
    return sent(brief(await _submitted(body, services, caller, views)))


@router.post("/runsync", dependencies=[Depends(require_json)])
async def run_and_wait(
    request: Request,
    body: RunRequest,
    services: Services,
    caller: GraphRunner,
    views: Views,
    endpoint: Endpoint,
    wait: Annotated[int, Query(ge=LEAST_MS, le=MOST_MS)] = USUAL_MS,
) -> Response:
    """Run a graph, and answer when it has ended or after ``wait`` milliseconds: then the job goes
    on, and is asked for."""
    job = await _submitted(body, services, caller, views)
    job = await _waited(request, services, caller, job, within_s=wait / 1_000)
    return await views.answer(job)


@router.get("/status/{job_id}")
async def status(
    services: Services, caller: Reader, views: Views, endpoint: Endpoint, job_id: JobIdInPath
) -> Response:
    """A job as it is now."""
    return await views.answer(await services.queries.get(caller, job_id))


@router.post("/cancel/{job_id}")
async def cancel(
    request: Request,
    services: Services,
    caller: Canceler,
    endpoint: Endpoint,
    job_id: JobIdInPath,
) -> Response:
    """Cancel a job, and wait a moment for its worker. Doing it again, or too late, is no error."""
    job = await services.cancellation.cancel(caller, job_id)
    return sent(brief(await _waited(request, services, caller, job, within_s=CANCEL_S)))


async def _submitted(
    body: RunRequest, services: JobRouteServices, caller: Caller, views: Views
) -> Job:
    graph, images = body.input.workflow, body.input.images
    if images:
        await services.rate_limit.acquire(caller)  # files count, as they do when they are uploaded
        known = await services.catalogues.known()
        graph = await with_pictures(
            graph, images, uploads=services.uploads, caller=caller, catalogues=known
        )
    asked = Asked(graph=graph, base_url=views.links.base_url)
    return (await services.submission.submit(caller, asked)).job


async def _waited(
    request: Request, services: JobRouteServices, caller: Caller, job: Job, *, within_s: float
) -> Job:
    """Return a job as it is when it has ended, or after so long; at once, if there is no place."""
    if job.status.terminal:
        return job
    if await streams_of(request) is None:
        within_s = min(within_s, LONGEST_S)
    with suppress(TooManyStreams, NotifierUnavailable):
        return await held(request, services, caller, job, within_s=within_s)
    return job
