"""Errors as problem details, or in the words of the contract that a path belongs to. The only file
that gives a domain error an HTTP status."""

import json
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from comfyq.aio.logs import log
from comfyq.domain.errors import (
    ClockSkewed,
    Conflict,
    DomainError,
    FieldError,
    Forbidden,
    InvalidGraph,
    InvalidRequest,
    NotFound,
    RateLimited,
    TooContended,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from comfyq.domain.job.client_text import for_clients
from comfyq.domain.token_claims import IssuerUnavailable
from comfyq.edges.api.observed import HEADER, request_id_of
from comfyq.edges.api.rate_headers import rate_headers
from comfyq.edges.api.safe_headers import SAFE
from comfyq.ports.notifier import TooManyStreams
from comfyq.wire.a1111 import errors as a1111
from comfyq.wire.comfy_v2 import errors as comfy_v2
from comfyq.wire.comfyui import errors as comfyui
from comfyq.wire.openai import errors as openai
from comfyq.wire.problems import Problem, ProblemField, challenge, message_of
from comfyq.wire.runpod import errors as runpod

PROBLEM_JSON = "application/problem+json"
JSON = "application/json"
COMFY_HEADER = "X-Comfy-Request-Id"  # in which clients of the Comfy API v2 look for it
OPTIONAL = ("node_errors", "request_id")  # fields that are left out where there are none
LONG_INTEGER = "integer string conversion"  # in the words of Python, which reads no longer one
MAX_FIELDS = 100  # that an answer lists
RETRY_AFTER_S = 2  # of what may pass by itself

STATUS: Mapping[type[DomainError], HTTPStatus] = {
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFound: HTTPStatus.NOT_FOUND,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Conflict: HTTPStatus.CONFLICT,
    TooContended: HTTPStatus.SERVICE_UNAVAILABLE,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    ClockSkewed: HTTPStatus.SERVICE_UNAVAILABLE,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}

# of errors that are HTTP's own; phrases differ between versions of Python, codes must not
CODES: Mapping[int, str] = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    413: "too-large",
    415: "unsupported-media-type",
    416: "range-not-satisfiable",
    431: "head-too-large",
    501: "streams-not-served",
}
TITLES: Mapping[int, str] = {413: "Content Too Large", 422: "Unprocessable Content"}


class Contract(Protocol):
    """How the errors of one contract are told: a module of ``comfyq.wire``."""

    def is_enveloped(self, path: str) -> bool: ...

    def status_of(self, problem: Problem) -> int: ...

    def enveloped(self, problem: Problem) -> BaseModel: ...


CONTRACTS: Sequence[Contract] = (comfy_v2, openai, runpod, a1111, comfyui)


def contract_of(path: str) -> Contract | None:
    """Return the contract in whose words errors of ``path`` are told; None: they are problems."""
    return next((each for each in CONTRACTS if each.is_enveloped(path)), None)


class ProblemResponse(Response):
    media_type = PROBLEM_JSON

    def __init__(
        self,
        request: Request,
        *,
        status: int,
        code: str,
        detail: str,
        fields: Sequence[FieldError] = (),
        node_errors: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            detail = for_clients(detail)
        problem = Problem(
            type=f"/problems/{code}",
            title=TITLES.get(status) or HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            instance=request.scope["path"],
            code=code,
            errors=[ProblemField(field=each.field, message=each.message) for each in fields],
            node_errors=node_errors,
            request_id=request_id_of(request.scope),
        )
        # A defect is answered outside of the middleware that adds these headers elsewhere.
        safe = {**SAFE, HEADER: request_id_of(request.scope), **(headers or {})}
        if contract_of(problem.instance) is comfy_v2:
            safe[COMFY_HEADER] = safe[HEADER]
        encoded = encoded_problem(problem, path=problem.instance)
        super().__init__(encoded.body, encoded.status, safe, encoded.media_type)


class EncodedProblem(NamedTuple):
    body: bytes
    status: int
    media_type: str


def encoded_problem(problem: Problem, *, path: str) -> EncodedProblem:
    """Encode a problem, which may quote a client's invalid text, as errors of ``path`` are told."""
    contract = contract_of(path)
    if contract is not None:
        fields = contract.enveloped(problem).model_dump()
        status, media_type = contract.status_of(problem), JSON
    else:
        unused = {name for name in OPTIONAL if getattr(problem, name) is None}
        fields = problem.model_dump(exclude=unused)
        status, media_type = problem.status, PROBLEM_JSON
    body = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
    return EncodedProblem(body, status, media_type)


def status_of(error: type[DomainError]) -> HTTPStatus:
    """Return the HTTP status of an error's nearest mapped ancestor."""
    return next(STATUS[cls] for cls in error.__mro__ if cls in STATUS)


async def on_domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    return ProblemResponse(
        request,
        status=status_of(type(error)),
        code=error.code,
        detail=str(error),
        fields=error.fields if isinstance(error, InvalidRequest) else (),
        node_errors=error.node_errors if isinstance(error, InvalidGraph) else None,
        headers={**await rate_headers(request), **_headers(error)},
    )


def _headers(error: DomainError) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"WWW-Authenticate": challenge(error)}
    if isinstance(error, RateLimited | IssuerUnavailable):
        return {"Retry-After": str(error.retry_after_s)}
    if status_of(type(error)) is HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_AFTER_S)}
    return {}


async def on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    raised = error.errors()
    if any(each["type"] == "json_invalid" for each in raised):
        context = raised[0]["ctx"]["error"]
        detail = f"the body is not JSON: {context} at character {raised[0]['loc'][-1]}"
        return ProblemResponse(request, status=400, code="invalid-json", detail=detail)
    fields = [_field(each) for each in raised[:MAX_FIELDS]]
    detail = "; ".join(f"{each.field or 'the body'}: {each.message}" for each in fields)
    return ProblemResponse(
        request,
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        code=InvalidRequest.code,
        detail=detail,
        fields=fields,
    )


def _field(raised: Mapping[str, Any]) -> FieldError:
    """Convert one of pydantic's errors; its location begins with body, path, query or header."""
    return FieldError(".".join(map(str, raised["loc"][1:])), message_of(raised))


async def on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return _method_not_allowed(request)
    if LONG_INTEGER in str(error.__cause__):
        detail = f"the body has a number of over {sys.get_int_max_str_digits()} digits"
        return ProblemResponse(request, status=400, code="invalid-json", detail=detail)
    return ProblemResponse(
        request,
        status=error.status_code,
        code=CODES.get(error.status_code, f"http-{error.status_code}"),
        detail=_detail(request, error),
        headers=error.headers,
    )


def _detail(request: Request, error: HTTPException) -> str:
    """Return the reason of HTTP's own error; of a path that nothing is at, where the paths are."""
    is_no_path = error.status_code == 404 and error.detail == HTTPStatus.NOT_FOUND.phrase
    if is_no_path and contract_of(request.scope["path"]) is None:
        return "nothing is at this path; /docs shows what there is, and /openapi.json for programs"
    return str(error.detail)


def _method_not_allowed(request: Request) -> Response:
    """Name every method of the path: each is a route of its own, which knows no other. That is also
    the answer to OPTIONS."""
    headers = {"Allow": ", ".join([*_methods_of(request), "OPTIONS"])}
    if request.method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    detail = f"{request.method} is not for this; {headers['Allow']} are"
    return ProblemResponse(request, status=405, code=CODES[405], detail=detail, headers=headers)


def _methods_of(request: Request) -> Sequence[str]:
    """Return the methods of the request's path; a path without a placeholder goes before others."""
    path = request.scope["path"]
    routes = [
        route
        for route in iter_route_contexts(request.app.routes)
        if route.methods and route.path_regex.fullmatch(path)
    ]
    nearest = min((str(route.path_format).count("{") for route in routes), default=0)
    return sorted(
        {
            method
            for route in routes
            if str(route.path_format).count("{") == nearest
            for method in route.methods or ()
        }
    )


async def on_too_many_streams(request: Request, error: Exception) -> Response:
    return ProblemResponse(
        request,
        status=503,
        code="too-many-streams",
        detail=str(error),
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


async def on_unexpected(request: Request, error: Exception) -> Response:
    """Answer 500 to a defect; the traceback goes to the log and not to the client."""
    path = request.scope["path"]
    request_id = request_id_of(request.scope)  # this runs outside of the middleware that names it
    log.error(
        "request_failed", request=request_id, method=request.method, path=path, exc_info=error
    )
    detail = "the server made a mistake; it has been logged"
    closing = {"Connection": "close"}  # as uvicorn does, since Starlette raises the error again
    return ProblemResponse(
        request, status=500, code="internal-error", detail=detail, headers=closing
    )


def install(app: FastAPI) -> None:
    app.add_exception_handler(DomainError, on_domain_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(TooManyStreams, on_too_many_streams)
    app.add_exception_handler(Exception, on_unexpected)
