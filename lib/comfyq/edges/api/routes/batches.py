"""``/generate/batch``: many requests at once."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import Depends, Query, Response
from fastapi import Request as HTTPRequest
from starlette.background import BackgroundTask

from comfyq.domain.submission.request import Request
from comfyq.edges.api.authentication import Canceler, Reader, Submitter
from comfyq.edges.api.batch_views import BatchViews
from comfyq.edges.api.cursors import CursorInQuery, decode_cursor, encode_cursor
from comfyq.edges.api.dependencies import ClientLinks, require_json, services_of
from comfyq.edges.api.ids import BatchIdInPath
from comfyq.edges.api.links import BATCHES, Links
from comfyq.edges.api.open_answers.batch_wait import BatchWaitServices, waited_for_batch
from comfyq.edges.api.open_answers.preferred_wait import HEADER, WAITING, applied
from comfyq.edges.api.responses import JSON_BODY, problems
from comfyq.edges.api.router import Router
from comfyq.edges.api.submitting import IdempotencyKey
from comfyq.services.jobs.batch_submission import Asked, BatchAccepted, BatchSubmission
from comfyq.services.jobs.batches import Batches
from comfyq.services.jobs.idempotency import digest_of_all
from comfyq.wire.generate.batches import BatchList, BatchRequest, BatchView, asked_of


class BatchServices(BatchWaitServices, Protocol):
    """The services that these routes call."""

    @property
    def batches(self) -> Batches: ...

    @property
    def batch_submission(self) -> BatchSubmission: ...


Services = Annotated[BatchServices, Depends(services_of)]

Items = Annotated[bool, Query(description="Show each request with its job; else `items` is null.")]

BATCH_ACCEPTED: dict[str, Any] = {
    "description": "What could be accepted is; `items` tells of each request.",
    "headers": {"Location": {"description": "The batch.", "schema": {"type": "string"}}},
}

router = Router[BatchServices](prefix=BATCHES, tags=["batches"])


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[Depends(require_json)],
    response_model=BatchView,
    responses={202: BATCH_ACCEPTED} | JSON_BODY | problems(409, 429),
)
async def submit(
    body: BatchRequest,
    services: Services,
    caller: Submitter,
    links: ClientLinks,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submit up to 500 generations. One that cannot be run does not sink the others.

    With an `Idempotency-Key`, sending it again completes what is missing and makes nothing twice.
    """
    accepted = await services.batch_submission.submit(
        caller,
        [_linked(each, links) for each in await asked_of(body)],
        digest=await digest_of_all(body.expanded),
        idempotency_key=idempotency_key,
    )
    return answer_to_batch(accepted, services, links)


def _linked(asked: Asked, links: Links) -> Asked:
    """Return a request that knows where it was sent to, for links in webhooks."""
    return replace(asked, base_url=links.base_url) if isinstance(asked, Request) else asked


def answer_to_batch(accepted: BatchAccepted, services: BatchServices, links: Links) -> Response:
    """Show an accepted batch; that its jobs were dispatched is noted after the answer."""
    shown = BatchViews(links).accepted(accepted)
    headers = {"Location": shown.urls.self}
    if accepted.replayed:
        headers["Idempotent-Replayed"] = "true"
    # Rendered without response_model: validating a hundred jobs again costs more than storing them.
    return Response(
        shown.model_dump_json(),
        HTTPStatus.ACCEPTED,
        headers,
        media_type="application/json",
        background=BackgroundTask(services.batch_submission.note, accepted),
    )


@router.get("")
async def listing(
    services: Services,
    caller: Reader,
    links: ClientLinks,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: CursorInQuery = None,
) -> BatchList:
    """Your batches, newest first."""
    after = None if cursor is None else decode_cursor(cursor)
    batches, following = await services.batches.list(caller, limit=limit, after=after)
    views = BatchViews(links)
    return BatchList(
        batches=[views.summary(batch) for batch in batches],
        next_cursor=None if following is None else encode_cursor(following),
    )


@router.get(
    "/{batch_id}",
    responses=problems(404) | {200: {"headers": HEADER}},
    openapi_extra=WAITING,
)
async def show(
    request: HTTPRequest,
    response: Response,
    services: Services,
    caller: Reader,
    links: ClientLinks,
    batch_id: BatchIdInPath,
    items: Items = False,
) -> BatchView:
    """A batch as it is now: how many of its jobs have come how far; each of them on request."""
    state = await services.batches.get(caller, batch_id, outputs=items)
    if wait_s := await waited_for_batch(request, services, caller, state):
        state = await services.batches.get(caller, batch_id, outputs=items)
        response.headers.update(applied(wait_s))
    return BatchViews(links).state(state, items=items)


@router.delete(
    "/{batch_id}",
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(404)
    | {202: {"description": "Those jobs that have not ended yet end as `canceled`."}},
)
async def cancel(
    services: Services, caller: Canceler, links: ClientLinks, batch_id: BatchIdInPath
) -> BatchView:
    """Cancel every job of a batch. Doing it again, or too late, is no error."""
    state = await services.batches.cancel(caller, batch_id)
    return BatchViews(links).state(state, items=False)
