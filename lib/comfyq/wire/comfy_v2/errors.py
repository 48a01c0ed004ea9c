"""Errors in the envelope of the Comfy API v2: ``{"error": {"code", "message", "details"}}``."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from comfyq.wire.contracts import is_below
from comfyq.wire.problems import Problem

API = "/api/v2"

CODES: Mapping[str, str] = {  # of problems, where the contract has a word of its own
    "bad-request": "invalid_request",
    "invalid-graph": "invalid_workflow",
    "invalid-parameters": "invalid_workflow",
    "idempotency-mismatch": "idempotency_key_reuse",
    "too-many-waiting": "queue_full",
    "daily-jobs-used-up": "rate_limited",
    "streams-not-served": "not_implemented",
}
BY_STATUS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
}
OWN = frozenset({"blob-not-found", "too-many-streams"})  # codes that no status overrules
STATUSES: Mapping[str, int] = {"too-many-streams": HTTPStatus.TOO_MANY_REQUESTS}
UNREADABLE = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE})
UPSTREAM = "upstream_error"


class ErrorBody(BaseModel):
    code: str
    message: str
    details: dict[str, Any] | None


class ErrorEnvelope(BaseModel):
    error: ErrorBody


def is_enveloped(path: str) -> bool:
    """Return whether errors of ``path`` are told in this envelope."""
    return is_below(path, API)


def status_of(problem: Problem) -> int:
    """Return the status of a problem; of what cannot be read, the contract's only one."""
    if problem.status in UNREADABLE:
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return STATUSES.get(problem.code, problem.status)


def enveloped(problem: Problem) -> ErrorEnvelope:
    """Tell a problem in the contract's words."""
    details: dict[str, Any] = {}
    if problem.node_errors:
        details["node_errors"] = problem.node_errors
    if problem.errors:
        details["errors"] = [each.model_dump() for each in problem.errors]
    body = ErrorBody(code=code_of(problem), message=problem.detail, details=details or None)
    return ErrorEnvelope(error=body)


def code_of(problem: Problem) -> str:
    """Return the contract's code of a problem, or ours as the contract writes codes."""
    if problem.code in OWN:
        return _written(problem.code)
    if problem.status in BY_STATUS:
        return BY_STATUS[problem.status]
    is_upstream = problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    if is_upstream and problem.status != HTTPStatus.NOT_IMPLEMENTED:
        return UPSTREAM
    return CODES.get(problem.code) or _written(problem.code)


def _written(code: str) -> str:
    return code.replace("-", "_")
