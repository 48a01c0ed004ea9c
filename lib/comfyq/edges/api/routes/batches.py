"""``/generate/batch``: many requests at once."""

from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, Response
from starlette.background import BackgroundTask

from comfyq.edges.api.authentication import Canceler, Reader, Submitter
from comfyq.edges.api.batch_views import BatchViews
from comfyq.edges.api.dependencies import ClientLinks, require_json, services_of
from comfyq.edges.api.ids import BatchIdInPath
from comfyq.edges.api.links import BATCHES
from comfyq.edges.api.responses import JSON_BODY, problems
from comfyq.edges.api.router import Router
from comfyq.edges.api.submitting import IdempotencyKey
from comfyq.services.jobs.batch_submission import BatchSubmission
from comfyq.services.jobs.batches import Batches
from comfyq.services.jobs.idempotency import digest_of_all
from comfyq.wire.generate.batches import BatchRequest, BatchView, asked_of


class BatchServices(Protocol):
    """The services that these routes call."""

    @property
    def batches(self) -> Batches: ...

    @property
    def batch_submission(self) -> BatchSubmission: ...


Services = Annotated[BatchServices, Depends(services_of)]

router = Router[BatchServices](prefix=BATCHES, tags=["batches"])


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[Depends(require_json)],
    response_model=BatchView,
    responses={
        202: {
            "description": "What could be accepted is; `items` tells of each request.",
            "headers": {"Location": {"description": "The batch.", "schema": {"type": "string"}}},
        }
    }
    | JSON_BODY
    | problems(429),
)
async def submit(
    body: BatchRequest,
    services: Services,
    caller: Submitter,
    links: ClientLinks,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submit up to 100 generations. One that cannot be run does not sink the others.

    With an `Idempotency-Key`, sending it again completes what is missing and makes nothing twice.
    """
    accepted = await services.batch_submission.submit(
        caller,
        await asked_of(body),
        digest=await digest_of_all(body.expanded),
        idempotency_key=idempotency_key,
    )
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


@router.get("/{batch_id}", responses=problems(404))
async def show(
    services: Services, caller: Reader, links: ClientLinks, batch_id: BatchIdInPath
) -> BatchView:
    """A batch as it is now, with each of its jobs."""
    return BatchViews(links).state(await services.batches.get(caller, batch_id))


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
    return BatchViews(links).state(await services.batches.cancel(caller, batch_id))
