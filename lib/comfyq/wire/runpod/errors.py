"""Errors as RunPod's API tells them: ``{"error": "…"}``, and our code beside it."""

from collections.abc import Mapping
from http import HTTPStatus

from pydantic import BaseModel

from comfyq.wire.problems import Problem

API = "/v2"
RUNS = rf"{API}/[^/]+/run(sync)?"  # a pattern

STATUSES: Mapping[int, int] = {  # what cannot be read or done is a bad request
    HTTPStatus.UNPROCESSABLE_ENTITY: HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.BAD_REQUEST,
}


class ErrorView(BaseModel):
    error: str
    code: str


def is_enveloped(path: str) -> bool:
    """Return whether errors of ``path`` are told so."""
    return path == API or path.startswith(f"{API}/")


def status_of(problem: Problem) -> int:
    """Return the status of a problem."""
    return STATUSES.get(problem.status, problem.status)


def enveloped(problem: Problem) -> ErrorView:
    """Tell a problem as RunPod's API would."""
    return ErrorView(error=problem.detail, code=problem.code)
