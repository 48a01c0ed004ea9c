"""A route as an ASGI application: it reads the body, calls the function, and sends what it returns.

The answer is a view, which is rendered as it is, a response, or nothing.
"""

import json
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from starlette.exceptions import HTTPException

from comfyq.edges.api.calling.calls import Given, call_of

JSON = "application/json"


class RouteApp:
    """Answers requests for one route."""

    def __init__(self, route: APIRoute) -> None:
        if route.body_field is not None and isinstance(route.body_field.field_info, Form):
            raise TypeError(f"{route.path}: a form is read by its route, piece by piece")
        self._call = call_of(route.dependant, embed=route._embed_body_fields)
        self._has_body = route.body_field is not None
        self._status = route.status_code
        self._exclude_none = route.response_model_exclude_none

    async def answer(self, request: Request) -> Response:
        """Return the route's answer to a request.

        Raises:
            RequestValidationError, HTTPException, and what the route's functions raise.
        """
        body = await _read_body(request) if self._has_body else PydanticUndefined
        given = Given(request, body)
        arguments = await self._call.arguments(given)
        if given.wrong:
            raise RequestValidationError(given.wrong, body=body)
        answered = await self._call.function(**arguments)
        if isinstance(answered, Response):
            return answered
        return self._rendered(answered, given.response)

    def _rendered(self, view: BaseModel | None, said: Response | None) -> Response:
        """Render a view, which FastAPI would validate once more, with the status and headers that
        the route's functions have set."""
        content = (
            None
            if view is None
            else view.model_dump_json(by_alias=True, exclude_none=self._exclude_none)
        )
        status = (said and said.status_code) or self._status or HTTPStatus.OK
        response = Response(content, status, media_type=JSON)
        if said is not None:
            response.headers.raw.extend(said.headers.raw)
        return response


async def _read_body(request: Request) -> Any:
    """Return the body's JSON, or its bytes where it is not sent as JSON."""
    try:
        content = await request.body()
        if not content:
            return PydanticUndefined
        return json.loads(content) if _is_json(request.headers) else content
    except json.JSONDecodeError as no_json:
        wrong = {
            "type": "json_invalid",
            "loc": ("body", no_json.pos),
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": no_json.msg},
        }
        raise RequestValidationError([wrong], body=no_json.doc) from no_json
    except HTTPException:  # of the limits on requests
        raise
    except Exception as unread:  # e.g. it is no UTF-8, is nested too deeply or has a long number
        message = "There was an error parsing the body"
        raise HTTPException(HTTPStatus.BAD_REQUEST, message) from unread


def _is_json(headers: Mapping[str, str]) -> bool:
    if (content_type := headers.get("content-type")) == JSON:
        return True
    if content_type is None:
        return False
    parsed = Message()
    parsed["content-type"] = content_type
    subtype = parsed.get_content_subtype()
    is_application = parsed.get_content_maintype() == "application"
    return is_application and (subtype == "json" or subtype.endswith("+json"))
