"""Answers: problem documents as routes declare them, ``responses=problems(404)``, and views."""

from collections.abc import Mapping
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from comfyq.edges.api.problems import PROBLEM_JSON

Responses = dict[int | str, dict[str, Any]]

SCHEMA = {"$ref": "#/components/schemas/Problem"}
TEXTS: Mapping[int, str] = {
    400: "The body cannot be read.",
    401: "No API key was sent, or it is unknown, revoked or expired.",
    403: "The link is not signed by this server, or its time is over.",
    404: "There is no such thing.",
    409: "It is not the time for it.",
    413: "The body is larger than 6 MB, a file than files may be, or there is no room for more.",
    415: "The body is not sent as JSON.",
    422: "What was asked for cannot be done; `errors` names every bad field.",
    429: "Too many requests; `Retry-After` says when to come back.",
    501: "This deployment cannot do it; `detail` says what it can do instead.",
    503: "A part that this server depends on does not answer; try again.",
}


def problems(*statuses: int) -> Responses:
    """Describe a problem document for each of ``statuses``."""
    return {
        status: {"description": TEXTS[status], "content": {PROBLEM_JSON: {"schema": SCHEMA}}}
        for status in statuses
    }


EVERYWHERE = problems(422, 503)  # of each route, so that none declares them
JSON_BODY = problems(400, 413, 415)  # of a route that requires a body in JSON


def rendered(view: BaseModel) -> Response:
    """Answer with a view, which FastAPI would validate once more."""
    return Response(view.model_dump_json(by_alias=True), media_type="application/json")
