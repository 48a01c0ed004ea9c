"""Messages of the socket: JSON events and binary frames."""

import json
import struct
import time
from dataclasses import dataclass
from typing import Any

JsonObject = dict[str, Any]

PREVIEW = 1
PREVIEW_WITH_METADATA = 4
FORMATS = {"JPEG": 1, "PNG": 2}


@dataclass(frozen=True)
class Event:
    """One JSON message: `{"type": type, "data": data}`."""

    type: str
    data: JsonObject

    def encoded(self) -> str:
        return json.dumps({"type": self.type, "data": self.data})


@dataclass(frozen=True)
class Preview:
    """A preview picture for the clients of a prompt."""

    encoded: bytes
    format: str
    """JPEG or PNG."""

    def frame(self) -> bytes:
        """The frame for clients that announced nothing."""
        return struct.pack(">II", PREVIEW, FORMATS[self.format]) + self.encoded

    def frame_with_metadata(self, node_id: str, prompt_id: str) -> bytes:
        """The frame for clients that announced `supports_preview_metadata`."""
        metadata = {
            "node_id": node_id,
            "prompt_id": prompt_id,
            **_places(node_id),
            "image_type": f"image/{self.format.lower()}",
        }
        encoded = json.dumps(metadata).encode()
        return struct.pack(">II", PREVIEW_WITH_METADATA, len(encoded)) + encoded + self.encoded


@dataclass(frozen=True)
class NodeProgress:
    """The progress of one node."""

    value: float
    max: float
    state: str
    """running or finished."""


def now_ms() -> int:
    """Wall clock in milliseconds, as ComfyUI stamps its messages."""
    return time.time_ns() // 1_000_000


def queue_info(remaining: int) -> JsonObject:
    return {"exec_info": {"queue_remaining": remaining}}


def status(remaining: int, sid: str | None = None) -> Event:
    """Build a status event; `sid` is set for a socket that has just opened."""
    greeting = {} if sid is None else {"sid": sid}
    return Event("status", {"status": queue_info(remaining), **greeting})


def executing(node_id: str | None, prompt_id: str) -> Event:
    """Build the event of a node's start; None: of the prompt's end."""
    shown = {} if node_id is None else {"display_node": node_id}
    return Event("executing", {"node": node_id, **shown, "prompt_id": prompt_id})


def still_executing(node_id: str) -> Event:
    """Build the event for a client that reconnects: it names the node, not the prompt."""
    return Event("executing", {"node": node_id})


def progress(node_id: str, value: int, total: int, prompt_id: str) -> Event:
    data = {"value": value, "max": total, "prompt_id": prompt_id, "node": node_id}
    return Event("progress", data)


def progress_state(nodes: dict[str, NodeProgress], prompt_id: str) -> Event:
    """Build the progress of all nodes that have started."""
    states = {
        node_id: {
            "value": at.value,
            "max": at.max,
            "state": at.state,
            "node_id": node_id,
            "prompt_id": prompt_id,
            **_places(node_id),
        }
        for node_id, at in nodes.items()
    }
    return Event("progress_state", {"prompt_id": prompt_id, "nodes": states})


def executed(node_id: str, output: JsonObject | None, prompt_id: str) -> Event:
    """Build the event of a node's output; the history will hold the same `output`."""
    data = {"node": node_id, "display_node": node_id, "output": output, "prompt_id": prompt_id}
    return Event("executed", data)


def node_meta(node_id: str) -> JsonObject:
    """Build the `meta` entry of an output in the history."""
    return {
        "node_id": node_id,
        "display_node": node_id,
        "parent_node": None,
        "real_node_id": node_id,
    }


def _places(node_id: str) -> JsonObject:
    return {"display_node_id": node_id, "parent_node_id": None, "real_node_id": node_id}
