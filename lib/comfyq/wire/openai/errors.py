"""Errors in the envelope of OpenAI's API: ``{"error": {"message", "type", "param", "code"}}``."""

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel

from comfyq.wire.contracts import is_below, plain_status
from comfyq.wire.problems import Problem

API = "/v1"
EDITS = f"{API}/images/edits"

CODES: Mapping[str, str] = {  # of problems, where OpenAI's API has a word of its own
    "unauthenticated": "invalid_api_key",
    "workflow-not-found": "model_not_found",
    "rate-limited": "rate_limit_exceeded",
    "too-many-waiting": "rate_limit_exceeded",
    "daily-jobs-used-up": "insufficient_quota",
}
PARAMETERS: Mapping[str, str] = {  # of workflows, by which fields of a request set them
    "width": "size",
    "height": "size",
    "preset": "quality",
}
REFUSED, LIMITED, BROKEN = "invalid_request_error", "requests", "server_error"


class ErrorBody(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(BaseModel):
    error: ErrorBody


def is_enveloped(path: str) -> bool:
    """Return whether errors of ``path`` are told in this envelope."""
    return is_below(path, API)


def status_of(problem: Problem) -> int:
    """Return the status of a problem, by which OpenAI's clients choose the error they raise."""
    return plain_status(problem)


def enveloped(problem: Problem) -> ErrorEnvelope:
    """Tell a problem as OpenAI's API would."""
    field = problem.errors[0].field if problem.errors else None
    return envelope(
        status_of(problem),
        message=problem.detail,
        code=CODES.get(problem.code, written(problem.code)),
        param=None if field is None else PARAMETERS.get(field, field),
    )


def envelope(status: int, *, message: str, code: str, param: str | None = None) -> ErrorEnvelope:
    """Tell an error that is answered with ``status``."""
    kind = LIMITED if status == HTTPStatus.TOO_MANY_REQUESTS else REFUSED
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = BROKEN
    return ErrorEnvelope(error=ErrorBody(message=message, type=kind, param=param, code=code))


def written(code: str) -> str:
    """Return a code of ours as OpenAI's API writes codes."""
    return code.replace("-", "_")
