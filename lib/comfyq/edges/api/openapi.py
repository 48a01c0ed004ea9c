"""The API's OpenAPI description: FastAPI's, completed by what FastAPI cannot derive."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydantic import BaseModel
from starlette.routing import BaseRoute

from comfyq.edges.api.authentication import scopes_of, tells_known_more
from comfyq.edges.api.forms import add_forms
from comfyq.edges.api.responses import problems
from comfyq.wire.generate.frames import BatchFrame, PreviewFrame, ProgressFrame
from comfyq.wire.generate.jobs import JobUrls, JobView
from comfyq.wire.problems import Problem

DESCRIPTION = """\
Submit generations to ComfyUI, follow them and fetch what they made.

Errors are problem documents (RFC 9457) with a stable `code`; `errors` names every bad field.
Progress is pushed over the WebSocket that `urls.ws` of a job names, and as server-sent events.
"""

SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key or a token, as the server takes.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

REFERRED: Sequence[type[BaseModel]] = (Problem, ProgressFrame, PreviewFrame, BatchFrame)

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
        events=f"{EXAMPLE_URL}/events",
    ),
)


def describe(app: FastAPI) -> dict[str, Any]:
    """OpenAPI of ``app``; made once for the same workflows."""
    workflows = app.state.services.library.all()
    if app.openapi_schema is None or app.state.described != workflows:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=DESCRIPTION,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        _add_referred(document)
        _add_summaries(document)
        _add_scopes(document, app.routes)
        if app.state.services.authenticator.asks:
            _add_security(document, app.routes)
        add_forms(document, workflows)
        _add_example(document)
        app.openapi_schema, app.state.described = document, workflows
    return app.openapi_schema


def _add_referred(document: dict[str, Any]) -> None:
    """Add the schemas that routes only refer to."""
    schemas = document["components"]["schemas"]
    for model in REFERRED:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema


def _add_summaries(document: dict[str, Any]) -> None:
    """Head each operation with the first sentence of its description; names of functions repeat."""
    for path in document["paths"].values():
        for operation in path.values():
            sentence = re.split(r"\.(?:\s|$)", operation["description"], maxsplit=1)[0]
            operation["summary"] = " ".join(sentence.split())


def _add_scopes(document: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    """Say which scope each operation needs, and what it answers to callers without it."""
    for route in _described(routes):
        if needed := " and ".join(f"`{scope}`" for scope in sorted(scopes_of(route))):
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                text = f"The caller has not the scope {needed}, which this needs."
                operation["responses"]["401"] = problems(401)[401]
                operation["responses"]["403"] = problems(403)[403] | {"description": text}


def _described(routes: Sequence[BaseRoute]) -> Iterator[RouteContext]:
    """Yield the routes of this description; those of another contract are described by that."""
    for route in iter_route_contexts(routes):
        if isinstance(route.original_route, APIRoute) and route.include_in_schema:
            yield route


def _add_security(document: dict[str, Any], routes: Sequence[BaseRoute]) -> None:
    """Say how a client shows its API key, so that ``/docs`` asks for one."""
    document["components"]["securitySchemes"] = SCHEMES
    for route in _described(routes):
        without: list[dict[str, Any]] = [{}] if tells_known_more(route) else []
        if scopes_of(route) or without:
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                operation["security"] = [*without, *({name: []} for name in SCHEMES)]


def _add_example(document: dict[str, Any]) -> None:
    """Add the example here, because FastAPI would drop its null values."""
    accepted = document["paths"]["/generate"]["post"]["responses"]["202"]
    accepted["content"]["application/json"]["example"] = EXAMPLE.model_dump(mode="json")
