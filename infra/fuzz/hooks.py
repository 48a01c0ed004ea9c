"""Hooks of schemathesis: values that its description of the API cannot make by itself."""

import json
from base64 import urlsafe_b64encode
from typing import Any
from uuid import uuid4
from zlib import crc32

import schemathesis
from hypothesis import strategies as st

KEY = "Idempotency-Key"
DELETION = "DELETE /tenants/{tenant_id}/data"
PRINTABLE = st.text(alphabet="abcXYZ019#-", min_size=1, max_size=20)


def _cursor(parts: list[str]) -> str:
    """Encode a cursor as the server does, with the checksum that it looks for."""
    checksum = crc32(json.dumps(parts).encode())
    return urlsafe_b64encode(json.dumps([*parts, checksum]).encode()).decode()


schemathesis.openapi.format("cursor", st.lists(PRINTABLE, min_size=3, max_size=3).map(_cursor))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Give each request a key of its own: one that repeats names another request. Delete the data
    of no tenant that there is: other requests look for what they have made."""
    if case.operation.label == DELETION:
        case.path_parameters["tenant_id"] = "nobody"
    headers = case.headers
    if headers and isinstance(headers.get(KEY), str) and 0 < len(headers[KEY]) <= 255:
        headers[KEY] = str(uuid4())
