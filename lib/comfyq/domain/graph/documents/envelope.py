"""Envelopes that graphs come in: bodies of ComfyUI and RunPod, pictures, text within JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from comfyq.domain.files.sources import BadSource, is_data, read_data_uri
from comfyq.domain.graph.documents.encoding import read_content, read_text
from comfyq.domain.graph.documents.errors import UnreadableDocument

MAX_LAYERS = 6  # of envelopes around a graph, such as RunPod's around a text around ComfyUI's
# What clients of ComfyUI and RunPod send beside a graph, which is ours to decide.
WITHOUT_EFFECT = frozenset(
    {"client_id", "prompt_id", "number", "front", "id", "webhook", "policy", "s3Config"}
)
REMEDIES = {
    "images": "store each (`POST /assets`) and name it in its LoadImage node as `asset:ID`, "
    "a URL or a data URI",
    "partial_execution_targets": "leave the other output nodes out of the graph",
}
NO_GRAPH = (
    "a graph is an object of nodes by id, each with `class_type` and `inputs` (ComfyUI's API "
    "format), or an editor file; send it as `graph`, or as `prompt`, `workflow` or `input.workflow`"
)


@dataclass(slots=True)
class Opened:
    """What was in an envelope: a graph in API format or an editor file, and what came with it."""

    api: Any = None
    editor: Mapping[str, Any] | None = None
    extra_data: list[tuple[str, Any]] = field(default_factory=list)  # each with its path
    warnings: list[str] = field(default_factory=list)


def is_envelope(body: Mapping[str, Any]) -> bool:
    """Return whether a request's body is a graph or an envelope of one, not a request of ours."""
    value: Any = body
    for _ in range(MAX_LAYERS):
        if not isinstance(value, Mapping) or "graph" in value:
            return False
        if is_editor_file(value) or any(map(_is_like_node, value.values())):
            return True
        name = _inside(value)
        value = value[name] if name else None
    return False


def opened(value: Any, path: str = "graph") -> Opened:
    """Take a graph out of every envelope around it; raises UnreadableDocument."""
    result = Opened()
    for _ in range(MAX_LAYERS):
        if isinstance(value, str):
            value = _text(value)
        elif not isinstance(value, Mapping):
            raise UnreadableDocument(NO_GRAPH)
        elif is_editor_file(value):
            result.editor = value
            return result
        elif _is_api_graph(value) or not _inside(value):
            result.api = value
            return result
        else:
            value, path = _next(value, path, result)
    raise UnreadableDocument(f"is wrapped more than {MAX_LAYERS} times; {NO_GRAPH}")


def is_editor_file(value: object) -> bool:
    """Return whether this is an editor file: an API-format graph has no list of nodes."""
    return isinstance(value, Mapping) and isinstance(value.get("nodes"), list)


def is_node(value: object) -> bool:
    return isinstance(value, Mapping) and "class_type" in value


def _is_like_node(value: object) -> bool:
    return isinstance(value, Mapping) and not {"class_type", "inputs"}.isdisjoint(value)


def _is_api_graph(value: Mapping[str, Any]) -> bool:
    """Return whether any entry is a node; the others are then named as no nodes."""
    return any(is_node(each) for each in value.values())


def _inside(value: Mapping[str, Any]) -> str | None:
    """Return the name under which an envelope has what it holds; ``prompt`` is what ran."""
    names = ("graph", "prompt", "output", "workflow", "input")
    return next((name for name in names if isinstance(value.get(name), Mapping | str)), None)


def _next(envelope: Mapping[str, Any], path: str, result: Opened) -> tuple[Any, str]:
    name = _inside(envelope)
    assert name is not None, "an envelope holds something"
    for other, value in envelope.items():
        place = f"{path}.{other}"
        if other == name or value in (None, [], {}):
            continue
        if other == "extra_data":
            result.extra_data.append((place, value))
        elif other == "workflow" and isinstance(value, Mapping):  # beside ``prompt``: a picture
            result.extra_data.append((place, {"extra_pnginfo": {"workflow": value}}))
        elif other in WITHOUT_EFFECT:
            result.warnings.append(f"{place} has no effect here")
        else:
            remedy = REMEDIES.get(other, "leave it out")
            raise UnreadableDocument(f"has `{other[:80]}`, which is not known here; {remedy}")
    return envelope[name], f"{path}.{name}"


def _text(text: str) -> Any:
    if not is_data(text):
        return read_text(text)
    try:
        return read_content(read_data_uri(text).content)
    except BadSource as wrong:
        raise UnreadableDocument(str(wrong)) from None
