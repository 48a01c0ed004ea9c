"""A letter's body is the body of ``POST /generate``."""

from pydantic import ValidationError

from comfyq.domain.submission.request import Request
from comfyq.wire.generate.requests import GenerateRequest, unreadable


def read_request(body: str) -> Request:
    """Raises InvalidRequest for what is no such body; its values are checked later."""
    try:
        asked = GenerateRequest.model_validate_json(body)
    except ValidationError as invalid:
        raise unreadable(invalid) from invalid
    return asked.request
