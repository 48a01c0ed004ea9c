"""The API's own description: every error is a problem document, whatever FastAPI assumes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from comfyq.edges.api.forms import add_forms
from comfyq.edges.api.problems import PROBLEM_JSON
from comfyq.wire.generate.jobs import JobUrls, JobView
from comfyq.wire.problems import Problem

DESCRIPTION = """\
Submit generations to ComfyUI, follow them and fetch what they made.

Errors are problem documents (RFC 9457) with a stable `code`; `errors` names every bad field.
Progress is pushed over the WebSocket that `urls.ws` of a job names.
"""

EXAMPLE_ID = "5f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34"
EXAMPLE_URL = f"http://localhost:8000/generate/{EXAMPLE_ID}"
EXAMPLE = JobView(
    id=EXAMPLE_ID,
    status="queued",
    progress=0.0,
    workflow="flux-dev",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    seed=42,
    urls=JobUrls(
        self=EXAMPLE_URL,
        cancel=EXAMPLE_URL,
        ws=f"ws://localhost:8000/ws/progress/{EXAMPLE_ID}",
    ),
)

_ERRORS: Mapping[int, str] = {
    400: "The body cannot be read.",
    403: "The link is not signed by this server, or its time is over.",
    404: "There is no such thing.",
    409: "It is not the time for it.",
    413: "The body is larger than 6 MB, or a file than files may be.",
    415: "The body is not sent as JSON.",
    422: "What was asked for cannot be done; `errors` names every bad field.",
    429: "Too many requests; `Retry-After` says when to come back.",
    501: "This backend cannot do it; the detail says what can be done instead.",
    503: "A part that this server depends on does not answer; try again.",
}
ALWAYS = (422, 503)
BY_OPERATION: Mapping[str, tuple[int, ...]] = {
    "submit": (400, 413, 415, 429),
    "generate": (400, 404, 413, 415, 429),
    "workflow": (404,),
    "show": (404,),
    "story": (404,),
    "cancel": (404,),
    "download": (403, 404),
    "dead_letter": (404,),
    "redrive": (404,),
    "submit_batch": (400, 413, 415, 429),
    "show_batch": (404,),
    "cancel_batch": (404,),
    "metadata": (404,),
    "upload": (400, 413),
    "asset": (404,),
    "offer_upload": (400, 413, 415, 501),
    "complete_upload": (404, 409, 413),
}


def describe(app: FastAPI) -> dict[str, Any]:
    """OpenAPI of ``app``; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        _add_problems(document)
        add_forms(document, app.state.api.library.all())
        _add_example(document)
        app.openapi_schema = document
    return app.openapi_schema


def _add_problems(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schemas["Problem"].pop("$defs")
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for operation in path.values():
            name = operation["operationId"]
            statuses = (*ALWAYS, *BY_OPERATION.get(name, ()))
            operation["responses"] |= {str(status): _problem(status) for status in statuses}


def _add_example(document: dict[str, Any]) -> None:
    """Here, because FastAPI would drop what is null in it."""
    accepted = document["paths"]["/generate"]["post"]["responses"]["202"]
    accepted["content"]["application/json"]["example"] = EXAMPLE.model_dump(mode="json")


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": _ERRORS[status], "content": {PROBLEM_JSON: {"schema": schema}}}
