"""``/api/v2/jobs``: parse, call one service method, render."""

from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, Query, Request, Response

from comfyq.domain.caller import Caller, Scope
from comfyq.domain.errors import AssetNotFound, InvalidParameters, JobNotFound
from comfyq.domain.graph.graph import UI_EXPORT, is_ui_export
from comfyq.domain.job import JobStatus
from comfyq.domain.submission.request import Request as Asked
from comfyq.domain.submission.selection import Selection
from comfyq.edges.api.authentication import Canceler, Reader, needs
from comfyq.edges.api.cursors import CursorInQuery, decode_cursor, encode_cursor
from comfyq.edges.api.dependencies import require_json, services_of
from comfyq.edges.api.ids import JobIdInPath
from comfyq.edges.api.responses import rendered
from comfyq.edges.api.submitting import IdempotencyKey
from comfyq.edges.comfy_v2.errors import (
    EditorFormat,
    KeyReused,
    MissingAsset,
    refused,
)
from comfyq.edges.comfy_v2.metadata import filters_in, labels_in
from comfyq.edges.comfy_v2.router import ComfyRouter
from comfyq.edges.comfy_v2.statuses import STATUSES, shown_status
from comfyq.edges.comfy_v2.views import Views, ViewServices
from comfyq.edges.comfy_v2.workflows import require_references, workflow_of
from comfyq.services.jobs.accepted import Accepted
from comfyq.services.jobs.cancellation import Cancellation
from comfyq.services.jobs.listing import JobListing
from comfyq.services.jobs.submission import Submission
from comfyq.wire.comfy_v2.jobs import JobListView, Status, WorkflowView
from comfyq.wire.comfy_v2.requests import JobRequest

PAGE = 50  # jobs, if a client does not say how many
UNFINISHED = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})


class JobRouteServices(ViewServices, Protocol):
    """The services that these routes call."""

    @property
    def submission(self) -> Submission: ...

    @property
    def cancellation(self) -> Cancellation: ...

    @property
    def listing(self) -> JobListing: ...


GraphSubmitter = Annotated[Caller, needs(Scope.SUBMIT, Scope.GRAPH)]
Services = Annotated[JobRouteServices, Depends(services_of)]

router = ComfyRouter[JobRouteServices](prefix="/jobs", tags=["comfy v2"])


@router.post("", dependencies=[Depends(require_json)])
async def submit(
    body: JobRequest,
    services: Services,
    caller: GraphSubmitter,
    views: Views,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Run a graph. A key that has made a job makes no other one, and is refused."""
    asked = _asked(body, base_url=views.links.api.base_url)
    try:
        accepted = await services.submission.submit(caller, asked, idempotency_key=idempotency_key)
    except InvalidParameters as refusal:
        if isinstance(refusal.__cause__, AssetNotFound):
            raise MissingAsset(str(refusal), refusal.fields) from refusal
        raise
    except JobNotFound as deleted:
        raise KeyReused(
            "this Idempotency-Key has made a job, which was deleted; use a new key"
        ) from deleted
    _require_first(accepted)
    answer = rendered(await views.job(accepted.job))
    answer.status_code = HTTPStatus.CREATED
    answer.headers["Location"] = views.links.job(accepted.job.id).self
    return answer


@router.get("")
async def listing(
    request: Request,
    services: Services,
    caller: Reader,
    views: Views,
    limit: Annotated[int, Query(ge=1, le=100)] = PAGE,
    cursor: CursorInQuery = None,
    status: Status | None = None,
) -> Response:
    """Your jobs, newest first, of all edges. A page may have fewer than `limit`, or none, while
    `next_cursor` says that there may be more."""
    page = await services.listing.page(
        caller,
        Selection(
            statuses=None if status is None else _statuses(status),
            labels=filters_in(request.query_params.multi_items()),
        ),
        limit=limit,
        after=None if cursor is None else decode_cursor(cursor),
    )
    return rendered(
        JobListView(
            jobs=[views.listed(job) for job in page.jobs if status in (None, shown_status(job))],
            next_cursor=None if page.cursor is None else encode_cursor(page.cursor),
        )
    )


@router.get("/{job_id}")
async def show(services: Services, caller: Reader, views: Views, job_id: JobIdInPath) -> Response:
    """A job as it is now."""
    return rendered(await views.job(await services.queries.get(caller, job_id)))


@router.get("/{job_id}/workflow")
async def workflow(services: Services, caller: Reader, job_id: JobIdInPath) -> Response:
    """The graph that a job runs, with its files as they were named."""
    spec = await services.queries.spec(caller, job_id)
    return rendered(WorkflowView(workflow=workflow_of(spec)))


@router.post("/{job_id}/cancel")
async def cancel(
    services: Services, caller: Canceler, views: Views, job_id: JobIdInPath
) -> Response:
    """Cancel a job. Doing it again, or too late, is no error."""
    return rendered(await views.job(await services.cancellation.cancel(caller, job_id)))


def _asked(body: JobRequest, *, base_url: str) -> Asked:
    if is_ui_export(body.workflow):
        raise refused("workflow", UI_EXPORT, EditorFormat)
    require_references(body.workflow)
    return Asked(
        graph=body.workflow,
        labels=labels_in(body.metadata),
        partner_key=None if body.extra_data is None else body.extra_data.api_key_comfy_org,
        base_url=base_url,
    )


def _require_first(accepted: Accepted) -> None:
    """Raise KeyReused if an earlier request with the same key has made the job."""
    if accepted.replayed:
        raise KeyReused(
            f"this Idempotency-Key has made job {accepted.job.id}; look at that one, or use a new "
            "key for another job"
        )


def _statuses(shown: Status) -> frozenset[JobStatus]:
    """Return every status that may be shown as ``shown``."""
    if shown == "canceling":
        return UNFINISHED
    return frozenset(status for status, name in STATUSES.items() if name == shown)
