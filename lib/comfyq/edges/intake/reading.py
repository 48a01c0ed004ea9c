"""A message's body is the body of ``POST /generate``, or that of ``POST /generate/batch``."""

from typing import Any

from pydantic import ValidationError

from comfyq.domain.errors import InvalidRequest
from comfyq.domain.graph.documents.encoding import read_text
from comfyq.domain.graph.documents.errors import UnreadableDocument
from comfyq.domain.submission.request import Request
from comfyq.services.jobs.batch_submission import AskedBatch
from comfyq.services.jobs.idempotency import digest_of_all
from comfyq.wire.generate.batches import BatchRequest, asked_of
from comfyq.wire.generate.requests import GenerateRequest, unreadable


async def read_message(body: str) -> Request | AskedBatch:
    """Parse a message's body. Parameter values are checked later.

    Raises:
        InvalidRequest: the body is that of neither a request nor a batch.
    """
    try:
        value = read_text(body)
        if _is_batch(value):
            batch = BatchRequest.model_validate(value)
            return AskedBatch(await asked_of(batch), await digest_of_all(batch.expanded))
        return GenerateRequest.model_validate(value).request
    except UnreadableDocument as wrong:
        raise InvalidRequest(f"the request {wrong}") from wrong
    except ValidationError as invalid:
        raise unreadable(invalid) from invalid


def _is_batch(value: Any) -> bool:
    """Return whether a body is a batch's; a graph's node of that name would be an object."""
    return isinstance(value, dict) and isinstance(value.get("requests"), list)
