"""Messages of ComfyUI's socket: JSON texts, and pictures in binary ones.

https://docs.comfy.org/development/comfyui-server/comms_messages
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

PREVIEW, PREVIEW_WITH_METADATA = 1, 4  # kinds of binary messages
FORMATS: Mapping[str, int] = {"image/jpeg": 1, "image/png": 2}
FLAGS = "feature_flags"
METADATA = "supports_preview_metadata"


def message(kind: str, **data: Any) -> str:
    return json.dumps({"type": kind, "data": data}, ensure_ascii=False)


def status(remaining: int, *, sid: str | None = None) -> str:
    """Tell how many of a client's jobs have not ended; the first message has its id."""
    data: dict[str, Any] = {"status": {"exec_info": {"queue_remaining": remaining}}}
    return message("status", **data, **({} if sid is None else {"sid": sid}))


def preview(content: bytes, content_type: str) -> bytes:
    """Return a picture as clients take it that have asked for no metadata."""
    return struct.pack(">II", PREVIEW, FORMATS.get(content_type, 1)) + content


def preview_with_metadata(content: bytes, content_type: str, *, node: str, prompt_id: str) -> bytes:
    metadata = {
        "node_id": node,
        "prompt_id": prompt_id,
        "display_node_id": node,
        "parent_node_id": None,
        "real_node_id": node,
        "image_type": content_type,
    }
    head = json.dumps(metadata).encode()
    return struct.pack(">II", PREVIEW_WITH_METADATA, len(head)) + head + content


def wants_metadata(text: str) -> bool | None:
    """Return what a client's message says of previews; None: it is about something else."""
    try:
        told = json.loads(text)
        if told["type"] != FLAGS:
            return None
        return bool(told["data"].get(METADATA))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
