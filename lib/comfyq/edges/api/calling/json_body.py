"""The body of a request, read as a whole."""

import json
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import PydanticUndefined
from starlette.exceptions import HTTPException

JSON = "application/json"


async def read_body(request: Request) -> Any:
    """Return the body's JSON, or its bytes where it is not sent as JSON.

    Raises:
        RequestValidationError, HTTPException: it is no JSON, or more than is read.
    """
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
