"""ComfyUI's socket messages, as signals about one prompt.

Pure. Custom nodes may send anything under any name, so a message of unexpected form is ignored and
never an error.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.adapters.comfyui.answers import parsed
from comfyq.domain.job.progress import Advance
from comfyq.ports.engine import Preview, PromptId, Started


@dataclass(frozen=True, slots=True)
class PromptSettling:
    """The run is over. History may not have it for a few milliseconds yet."""


@dataclass(frozen=True, slots=True)
class PromptSettled:
    """The run is over and history has it."""


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """A prompt, of any client, was queued, started, ended or deleted."""


Signal = Started | Advance | PromptSettling | PromptSettled | QueueChanged
Data = Mapping[str, Any]

QUEUE_CHANGED = (QueueChanged(),)
STATUS = '{"type": "status"'  # how ComfyUI begins every third message, of which nothing else counts
MAX_STEPS = 10**9  # larger counts are cut to it
PREVIEW_WITH_METADATA = 4  # the binary frame that says which prompt it belongs to


def signals(text: str) -> tuple[PromptId | None, Sequence[Signal]]:
    """Return the prompt that a text frame is about, and its signals.

    The prompt is None for QueueChanged, which concerns every prompt. The first message after a
    reconnect has no prompt id and gives no signal.
    """
    if text.startswith(STATUS):
        return None, QUEUE_CHANGED
    try:
        message = parsed(text)
        if message["type"] == "status":
            return None, QUEUE_CHANGED
        data = message["data"]
        read = _READERS.get(message["type"])
        return _prompt_id(data), read(data) if read else ()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None, ()


def preview(frame: bytes) -> Preview | None:
    """Return the preview in a binary frame; None if it holds something else."""
    try:
        kind, length = struct.unpack_from(">II", frame)
        if kind != PREVIEW_WITH_METADATA:
            return None
        about = parsed(frame[8 : 8 + length])
        return Preview(
            _prompt_id(about),
            str(about["display_node_id"]),
            str(about["image_type"]),
            frame[8 + length :],
        )
    except (struct.error, ValueError, KeyError, TypeError):
        return None


def _prompt_id(data: Data) -> PromptId:
    prompt_id = data["prompt_id"]
    if not isinstance(prompt_id, str):
        raise TypeError(f"{prompt_id!r} is no prompt id")
    return PromptId(prompt_id)


def _started(data: Data) -> Sequence[Signal]:
    return (Started(),)


def _settling(data: Data) -> Sequence[Signal]:
    return (PromptSettling(),)


def _cached(data: Data) -> Sequence[Signal]:
    return [Advance(str(node), done=True, cached=True) for node in data["nodes"]]


def _executing(data: Data) -> Sequence[Signal]:
    if data["node"] is None:
        return (PromptSettled(),)
    return (Advance(str(data.get("display_node") or data["node"])),)


def _executed(data: Data) -> Sequence[Signal]:
    return (Advance(str(data["node"]), done=True),)


def _progress(data: Data) -> Sequence[Signal]:
    return (Advance(str(data["node"]), step=_count(data["value"]), max_steps=_count(data["max"])),)


def _progress_state(data: Data) -> Sequence[Signal]:
    """Return an Advance of every node that has begun, the running node's last."""
    nodes = data["nodes"]
    done = [_advance(node, about) for node, about in nodes.items() if about["state"] == "finished"]
    running = [
        _advance(about.get("display_node_id") or node, about)
        for node, about in nodes.items()
        if about["state"] == "running"
    ]
    return done + running


def _advance(node: str, about: Data) -> Advance:
    # A node that reports no steps of its own is shown as 0 of 1, then 1 of 1.
    counts = about["max"] > 1
    return Advance(
        str(node),
        step=_count(about["value"]) if counts else 0,
        max_steps=_count(about["max"]) if counts else 0,
        done=about["state"] == "finished",
    )


def _count(steps: float | str) -> int:
    return min(max(int(steps), 0), MAX_STEPS)


_READERS: Mapping[str, Callable[[Data], Sequence[Signal]]] = {
    "execution_start": _started,
    "execution_cached": _cached,
    "executing": _executing,
    "executed": _executed,
    "progress": _progress,
    "progress_state": _progress_state,
    "execution_success": _settling,
    "execution_error": _settling,
    "execution_interrupted": _settling,
}
