"""Reading ComfyUI's history of a run that ended. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.adapters.comfyui.answers import mapping, sequence
from comfyq.adapters.comfyui.tracking import results
from comfyq.ports.engine import (
    DeviceFault,
    Ended,
    EngineError,
    NodeError,
    NodeFailed,
    OutOfMemory,
    PromptInterrupted,
)

Item = Mapping[str, Any]  # one entry of GET /history/{id}

MAX_MESSAGE_CHARS = 2_000
MAX_TRACEBACK_LINES = 20
MAX_LINE_CHARS = 300

# Memory is asked first: torch also says "CUDA error: out of memory".
OUT_OF_MEMORY_TYPES = ("OutOfMemory", "OOM")
DEVICE_FAULT_MARKS = ("cuda error", "device-side assert", "cudnn", "acceleratorerror", "hip error")


def read_results(item: Item) -> Ended:
    """Return the results of a run that succeeded, in the order of node ids.

    Only what output nodes show counts.

    Raises:
        NodeFailed, OutOfMemory, DeviceFault, PromptInterrupted: the run did not succeed.
    """
    failure = failed(item)
    if failure is not None:
        raise failure
    outputs = mapping(item.get("outputs"))
    return results.ended(outputs, sorted(_output_nodes(item, outputs), key=_natural))


def failed(item: Item) -> EngineError | None:
    """Return the error of a run; None if it succeeded.

    History calls an interrupted run an error too: only its last message tells them apart.
    """
    status = mapping(item.get("status"))
    if status.get("status_str", "success") == "success":
        return None
    name, data = _last_message(status)
    if name == "execution_interrupted":
        return PromptInterrupted(f"interrupted at node {data.get('node_id')}")
    return _node_failed(data)


def _last_message(status: Mapping[str, Any]) -> tuple[object, Mapping[str, Any]]:
    messages = sequence(status.get("messages"))
    match messages[-1] if messages else None:
        case [name, data]:
            return name, mapping(data)
        case _:
            return "", {}


def _node_failed(data: Mapping[str, Any]) -> NodeFailed:
    exception_type = str(data.get("exception_type", "unknown"))
    message = str(data.get("exception_message", "ComfyUI gives no reason")).strip()
    error = NodeError(
        node=str(data.get("node_id", "")),
        class_type=str(data.get("node_type", "")),
        message=message[:MAX_MESSAGE_CHARS],
        details=tuple(_traceback(data)),  # not current_inputs: they hold whole tensors as text
    )
    kind = _kind(exception_type, message)
    return kind(error, exception_type=exception_type)


def _kind(exception_type: str, message: str) -> type[NodeFailed]:
    text = f"{exception_type}: {message}".lower()
    if any(mark in exception_type for mark in OUT_OF_MEMORY_TYPES) or "out of memory" in text:
        return OutOfMemory
    if any(mark in text for mark in DEVICE_FAULT_MARKS):
        return DeviceFault
    return NodeFailed


def _traceback(data: Mapping[str, Any]) -> list[str]:
    frames = sequence(data.get("traceback"))
    lines = [line for frame in frames for line in str(frame).splitlines() if line.strip(" ^~")]
    return [line[:MAX_LINE_CHARS] for line in lines[-MAX_TRACEBACK_LINES:]]


def _output_nodes(item: Item, outputs: Mapping[str, Any]) -> Iterator[str]:
    """Return the output nodes of the prompt, and the nodes that these expanded into."""
    prompt = sequence(item.get("prompt"))
    listed = sequence(prompt[4]) if len(prompt) > 4 else outputs
    wanted = {node for node in listed if isinstance(node, str)}
    meta = mapping(item.get("meta"))
    for node in outputs:
        shown_as = mapping(meta.get(node)).get("display_node")
        if node in wanted or (isinstance(shown_as, str) and shown_as in wanted):
            yield node


def _natural(node: str) -> tuple[int, int, str]:
    """Return the sort key of a node id: numbers by value, of any length, before other ids."""
    if not (node.isascii() and node.isdigit()):
        return 1, 0, node
    digits = node.lstrip("0")
    return 0, len(digits), digits
