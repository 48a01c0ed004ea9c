"""``/generate``: parse, call one service method, render. No decision is taken here."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import Depends, Query, Request, Response

from comfyq.domain.caller import Caller
from comfyq.domain.files.output import MAX_OUTPUTS
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.submission.selection import EVERY
from comfyq.edges.api.authentication import Canceler, Reader
from comfyq.edges.api.cursors import CursorInQuery, decode_cursor, encode_cursor
from comfyq.edges.api.dependencies import (
    ClientLinks,
    Views,
    require_json,
    services_of,
    views_of,
)
from comfyq.edges.api.ids import JobIdInPath
from comfyq.edges.api.job_views import JobViews
from comfyq.edges.api.links import GENERATE
from comfyq.edges.api.open_answers.preferred_wait import HEADER, WAITING, applied, waited
from comfyq.edges.api.output_views import ANSWER_BYTES, OutputViews
from comfyq.edges.api.responses import JSON_BODY, problems, rendered
from comfyq.edges.api.router import Router
from comfyq.edges.api.selections import SelectionInQuery
from comfyq.edges.api.submitting import (
    ACCEPTED,
    NOT_RUN,
    SubmissionServices,
    Submits,
    naming_the_workflow,
)
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.jobs.listing import JobListing
from comfyq.services.jobs.purge import Purge
from comfyq.wire.generate.jobs import JobList, JobView, OutputList, StoryView
from comfyq.wire.generate.metadata import Metadata
from comfyq.wire.generate.requests import GenerateRequest


class GenerateServices(SubmissionServices, Protocol):
    """The services that these routes call."""

    @property
    def listing(self) -> JobListing: ...

    @property
    def cancellation(self) -> Cancellation: ...

    @property
    def purge(self) -> Purge: ...


Services = Annotated[GenerateServices, Depends(services_of)]

router = Router[GenerateServices](prefix=GENERATE, tags=["generate"])


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[Depends(require_json)],
    response_model=JobView,
    openapi_extra=WAITING,
    responses={200: NOT_RUN, 202: ACCEPTED} | JSON_BODY | problems(409, 429),
)
async def submit(body: GenerateRequest, submits: Submits) -> Any:
    """Submit a generation. Follow `Location`, or `urls.ws`, until it has ended."""
    with naming_the_workflow():
        return await submits.submit(body.request)


@router.get("", responses=problems(404))
async def listing(
    services: Services,
    caller: Reader,
    views: Views,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: CursorInQuery = None,
    selection: SelectionInQuery = EVERY,
) -> JobList:
    """Your jobs, newest first; each has all that the query asks for.

    A request looks at a bounded number of jobs: its page may have fewer than `limit`, or none,
    while `next_cursor` says that there may be more. 404: there is no batch of that id.
    """
    page = await services.listing.page(
        caller,
        selection,
        limit=limit,
        after=None if cursor is None else decode_cursor(cursor),
    )
    share = MAX_OUTPUTS // max(1, len(page.jobs))
    shown = [_summary(services, caller, views, job, share) for job in page.jobs]
    next_cursor = None if page.cursor is None else encode_cursor(page.cursor)
    return JobList(jobs=list(await asyncio.gather(*shown)), next_cursor=next_cursor)


@router.get(
    "/{job_id}",
    response_model=JobView,
    responses=problems(404) | {200: {"headers": HEADER}},
    openapi_extra=WAITING,
)
async def show(request: Request, caller: Reader, job_id: JobIdInPath) -> Response:
    """A job as it is now. It ends as `completed`, `failed` or `canceled`."""
    # Clients poll this, so it asks FastAPI for little and renders its answer itself.
    services: GenerateServices = await services_of(request)
    views = await views_of(request)
    job = await services.queries.get(caller, job_id)
    job, wait_s = await waited(request, services, caller, job)
    if job.status.terminal:
        shown = await views.whole(services.queries, job)
    else:
        shown = views.live(job, await services.estimates.estimate(job))
    answer = rendered(shown)
    answer.headers.update(applied(wait_s))
    return answer


@router.get("/{job_id}/outputs", responses=problems(404))
async def outputs(
    services: Services,
    caller: Reader,
    links: ClientLinks,
    job_id: JobIdInPath,
    start: Annotated[int, Query(ge=0, lt=MAX_OUTPUTS, description="Index of the first.")] = 0,
) -> OutputList:
    """The outputs of a job from one of them on, for a job that has more than its answer shows."""
    page = await services.queries.outputs(caller, job_id, start=start)
    return OutputViews(links).shown(job_id, page)


@router.get("/{job_id}/story", responses=problems(404))
async def story(services: Services, caller: Reader, views: Views, job_id: JobIdInPath) -> StoryView:
    """All that is known of a job: its parameters, and what became of each attempt."""
    told = await services.queries.story(caller, job_id)
    return views.story(told, await services.estimates.estimate(told.job))


@router.get("/{job_id}/metadata", responses=problems(404), response_model_exclude_none=True)
async def metadata(
    request: Request, services: Services, caller: Reader, job_id: JobIdInPath
) -> Metadata:
    """Describe how a job's outputs are made; 404 for a request with `metadata: false`."""
    story = await services.queries.metadata(caller, job_id, version=request.app.version)
    return Metadata.model_validate(story)


@router.delete(
    "/{job_id}",
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(404, 409)
    | {
        200: {"model": JobView, "description": "It had ended already, or it is deleted."},
        202: {"description": "It ends as `canceled`, at the latest when its worker has stopped."},
    },
)
async def cancel(
    services: Services,
    caller: Canceler,
    views: Views,
    job_id: JobIdInPath,
    response: Response,
    purge: Annotated[bool, Query(description="Delete it with its files as well.")] = False,
) -> JobView:
    """Cancel a job. Doing it again, or too late, is no error; only `read` sees outputs.

    With `purge=true` it is deleted as well, and shown once more without its outputs; 409 says that
    its worker must stop first, or that other jobs have its files (`reuse`) and must go before.
    """
    if purge:
        response.status_code = HTTPStatus.OK
        return views.job(await services.purge.purge(caller, job_id))
    before = await services.queries.get(caller, job_id)
    job = await services.cancellation.cancel(caller, job_id)
    if before.status.terminal:
        response.status_code = HTTPStatus.OK
    return await views.whole(services.queries, job)


async def _summary(
    services: GenerateServices, caller: Caller, views: JobViews, job: Job, share: int
) -> JobView:
    if not job.status.terminal:
        return views.live(job, await services.estimates.estimate(job))
    if job.status is not JobStatus.SUCCEEDED:
        return views.job(job)
    outputs = await services.queries.outputs(caller, job.id, end=share)
    return views.job(job, outputs=outputs, room=ANSWER_BYTES * share // MAX_OUTPUTS)
