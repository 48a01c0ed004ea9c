"""Reading ComfyUI's history of a run that ended. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.adapters.comfyui.answers import mapping, sequence
from comfyq.ports.engine import (
    DeviceFault,
    EngineError,
    NodeError,
    NodeFailed,
    OutOfMemory,
    PromptInterrupted,
    Rendered,
)

Item = Mapping[str, Any]  # one entry of GET /history/{id}

MAX_MESSAGE_CHARS = 2_000
MAX_TRACEBACK_LINES = 20
MAX_LINE_CHARS = 300

FOLDERS_BY_WORTH = ("output", "temp", "input")

# Memory is asked first: torch also says "CUDA error: out of memory".
OUT_OF_MEMORY_TYPES = ("OutOfMemory", "OOM")
DEVICE_FAULT_MARKS = ("cuda error", "device-side assert", "cudnn", "acceleratorerror", "hip error")


def rendered(item: Item) -> list[Rendered]:
    """Return the results of a run that succeeded, in the order of node ids.

    Only files of output nodes count, and only those of one folder: previews in ``temp`` are results
    only if nothing was saved.

    Raises:
        NodeFailed, OutOfMemory, DeviceFault, PromptInterrupted: the run did not succeed.
    """
    failure = failed(item)
    if failure is not None:
        raise failure
    outputs = mapping(item.get("outputs"))
    nodes = sorted(_output_nodes(item, outputs), key=_natural)
    files = list(dict.fromkeys(one for node in nodes for one in _of_node(node, outputs[node])))
    folders = {one.folder for one in files if one.text is None}
    best = next((folder for folder in FOLDERS_BY_WORTH if folder in folders), None)
    return [one for one in files if one.text is not None or one.folder == best]


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


def _of_node(node: str, output: Any) -> Iterator[Rendered]:
    """Files under any name (images, gifs, audio, video, 3d ...), and texts."""
    if not isinstance(output, Mapping):
        return
    for name, values in output.items():
        for value in values if isinstance(values, list) else [values]:
            if _text(mapping(value).get("filename")):
                yield _file(node, value)
            elif name == "text" and isinstance(value, str):
                yield Rendered(node, filename="", text=value)


def _file(node: str, value: Mapping[str, Any]) -> Rendered:
    return Rendered(
        node,
        filename=_text(value["filename"]),
        subfolder=_text(value.get("subfolder")),
        folder=_text(value.get("type")) or "output",
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _natural(node: str) -> tuple[int, int, str]:
    """Return the sort key of a node id: numbers by value, of any length, before other ids."""
    if not (node.isascii() and node.isdigit()):
        return 1, 0, node
    digits = node.lstrip("0")
    return 0, len(digits), digits
