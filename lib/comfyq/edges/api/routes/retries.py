"""``/generate/.../retry``: jobs that have ended without results, as new jobs."""

from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import Depends, Response

from comfyq.edges.api.authentication import Retrier
from comfyq.edges.api.dependencies import ClientLinks, services_of
from comfyq.edges.api.ids import BatchIdInPath, JobIdInPath
from comfyq.edges.api.links import GENERATE
from comfyq.edges.api.responses import problems
from comfyq.edges.api.router import Router
from comfyq.edges.api.routes.batches import BATCH_ACCEPTED, BatchServices, answer_to_batch
from comfyq.edges.api.submitting import ACCEPTED, IdempotencyKey, SubmissionServices, answer_to
from comfyq.services.jobs.retries import Retries
from comfyq.wire.generate.batches import BatchView
from comfyq.wire.generate.jobs import JobView


class RetryServices(BatchServices, SubmissionServices, Protocol):
    """The services that these routes call."""

    @property
    def retries(self) -> Retries: ...


Services = Annotated[RetryServices, Depends(services_of)]

router = Router[RetryServices](prefix=GENERATE, tags=["retries"])


@router.post(
    "/{job_id}/retry",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobView,
    responses=problems(404, 409, 413, 429) | {202: ACCEPTED},
)
async def retry(
    services: Services,
    caller: Retrier,
    links: ClientLinks,
    response: Response,
    job_id: JobIdInPath,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Try a job again that failed or was canceled: a new job, whose `retry_of` is this one.

    It has the same graph, values and seed. 409 says that the job has not failed.
    """
    accepted = await services.retries.retry(caller, job_id, idempotency_key=idempotency_key)
    return answer_to(accepted, response, links)


@router.post(
    "/batch/{batch_id}/retry",
    status_code=HTTPStatus.ACCEPTED,
    response_model=BatchView,
    responses=problems(404, 409, 413, 429) | {202: BATCH_ACCEPTED},
)
async def retry_batch(
    services: Services,
    caller: Retrier,
    links: ClientLinks,
    batch_id: BatchIdInPath,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Try those jobs of a batch again that failed or were canceled, as a new batch.

    Each of its jobs names the earlier one in `retry_of`. 409 says that none has failed.
    """
    accepted = await services.retries.retry_batch(caller, batch_id, idempotency_key=idempotency_key)
    return answer_to_batch(accepted, services, links)
