"""Errors as RunPod's API tells them: ``{"error": "…"}``, and our code beside it."""

from pydantic import BaseModel

from comfyq.wire.contracts import is_below, plain_status
from comfyq.wire.problems import Problem

API = "/v2"
RUNS = rf"{API}/[^/]+/run(sync)?"  # a pattern


class ErrorView(BaseModel):
    error: str
    code: str


def is_enveloped(path: str) -> bool:
    """Return whether errors of ``path`` are told so."""
    return is_below(path, API)


def status_of(problem: Problem) -> int:
    """Return the status of a problem."""
    return plain_status(problem)


def enveloped(problem: Problem) -> ErrorView:
    """Tell a problem as RunPod's API would."""
    return ErrorView(error=problem.detail, code=problem.code)
