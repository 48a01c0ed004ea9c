"""A message's body is the body of ``POST /generate``."""

from pydantic import ValidationError

from comfyq.domain.errors import InvalidRequest
from comfyq.domain.graph.documents.encoding import read_text
from comfyq.domain.graph.documents.errors import UnreadableDocument
from comfyq.domain.submission.request import Request
from comfyq.wire.generate.requests import GenerateRequest, unreadable


def read_request(body: str) -> Request:
    """Parse a message's body. Parameter values are checked later.

    Raises:
        InvalidRequest: the body is not that of a request.
    """
    try:
        asked = GenerateRequest.model_validate(read_text(body))
    except UnreadableDocument as wrong:
        raise InvalidRequest(f"the request {wrong}") from wrong
    except ValidationError as invalid:
        raise unreadable(invalid) from invalid
    return asked.request
