"""What every way of submitting over HTTP has in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header, Query, Response
from fastapi.responses import JSONResponse

from comfyq.domain.admitted import Admitted
from comfyq.domain.errors import FieldError, InvalidRequest, WorkflowNotFound
from comfyq.services.submission import Accepted
from comfyq.wire.jobs import JobView, JobViews
from comfyq.wire.rehearsals import Rehearsal

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same key with the same body, within 24 hours, gives the first answer.",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
    ),
]
DryRun = Annotated[
    bool, Query(description="Check the request and show the graph that would run; make no job.")
]

ACCEPTED: dict[str, Any] = {
    "description": "Accepted; it will end.",
    "headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}},
}
NOT_RUN: dict[str, Any] = {
    "model": JobView | Rehearsal,
    "description": "With `reuse`: a job that has the outputs of an earlier one, `reused_from`. "
    "With `dry_run`: no job was made.",
}


class UnknownWorkflow(InvalidRequest):
    """422: it is the request that names what is not there, not the URL."""

    code = WorkflowNotFound.code


@contextmanager
def naming_the_workflow() -> Iterator[None]:
    try:
        yield
    except WorkflowNotFound as missing:
        raise UnknownWorkflow(
            f"workflow: {missing}", [FieldError("workflow", str(missing))]
        ) from missing


def answer(accepted: Accepted, views: JobViews, response: Response) -> JobView:
    response.headers["Location"] = views.self_url(accepted.job.id)
    if accepted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    if accepted.job.reused_from is not None:
        response.status_code = HTTPStatus.OK
    return views.accepted(accepted)


def rehearsed(admitted: Admitted) -> Response:
    return JSONResponse(Rehearsal.of(admitted).model_dump(mode="json"), HTTPStatus.OK)
