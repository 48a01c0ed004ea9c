"""The reference of the HTTP API, from its OpenAPI document."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from infra.docs.markdown import code, heading, prose, table, whole_page
from infra.docs.schemas import Schema, fields, meaning, type_of

INTRODUCTION = """\
The same API is served by `comfyq up`, by `uvicorn comfyq.asgi:app` and by the function on AWS. A
running server describes itself under `/openapi.json`, and shows forms under `/docs` and `/redoc`.

Every error is a problem document (RFC 9457) with a stable `code`: [errors](errors.md). Each
workflow has an operation of its own, `POST /workflows/NAME/generate`, whose body holds the
workflow's parameters: [workflow parameters](parameters.md). Progress is pushed over a socket:
[progress frames](frames.md)."""

Operation = tuple[str, str, Mapping[str, Any]]  # method, path, its description


@cache
def document() -> Mapping[str, Any]:
    """The OpenAPI of the application; making it opens no database and no socket."""
    from comfyq.asgi import app

    description: Mapping[str, Any] = app.openapi()
    return description


def page() -> str:
    parts = [INTRODUCTION]
    operations = list(_operations())
    for tag in dict.fromkeys(each["tags"][0] for _, _, each in operations):
        parts.append(f"## {tag.capitalize()}")
        for method, path, operation in operations:
            if operation["tags"][0] == tag:
                parts += _operation(method, path, operation)
    parts.append("## Objects")
    for name, schema in _shown_schemas().items():
        parts += _schema(name, schema)
    return whole_page("HTTP API", *parts)


def forms() -> Mapping[str, Schema]:
    """By workflow, the schema of its own request."""
    schemas = document()["components"]["schemas"]
    return {
        path.split("/")[2]: schemas[_body(methods["post"])["$ref"].rpartition("/")[2]]
        for path, methods in document()["paths"].items()
        if _is_form(path)
    }


def _is_form(path: str) -> bool:
    return path.startswith("/workflows/") and path.endswith("/generate")


def _operations() -> Iterator[Operation]:
    for path, methods in document()["paths"].items():
        if not _is_form(path):
            for method, operation in methods.items():
                yield method.upper(), path, operation


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield heading(3, code(f"{method} {path}"), anchor=operation["operationId"].replace("_", "-"))
    yield prose(operation.get("description", ""))
    given = [
        (code(each["name"]), each["in"], type_of(each["schema"]), meaning(each["schema"]))
        for each in operation.get("parameters", ())
    ]
    if given:
        yield table(("parameter", "in", "type", "meaning"), given)
    if "requestBody" in operation:
        yield f"Body: {_bodies(operation['requestBody']['content'])}"
    answers = [
        (status, _bodies(answer.get("content", {})), answer["description"])
        for status, answer in sorted(operation["responses"].items())
    ]
    yield table(("status", "body", "when"), answers)


def _bodies(content: Mapping[str, Any]) -> str:
    """The schema of what is JSON, the media type of what is not."""
    return "; ".join(
        type_of(each["schema"]) if "json" in media and "schema" in each else code(media)
        for media, each in content.items()
    )


def _body(operation: Mapping[str, Any]) -> Schema:
    schema: Schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return schema


def _shown_schemas() -> Mapping[str, Schema]:
    """Those of the operations that are shown; requests of workflows have their own page."""
    others = {
        _body(methods["post"])["$ref"].rpartition("/")[2]
        for path, methods in document()["paths"].items()
        if _is_form(path)
    }
    schemas = document()["components"]["schemas"]
    return {name: schemas[name] for name in sorted(schemas) if name not in others}


def _schema(name: str, schema: Schema) -> Iterator[str]:
    yield heading(3, name, anchor=name.lower())
    yield prose(schema.get("description", ""))
    yield fields(schema) or f"One of {type_of(schema)}."
