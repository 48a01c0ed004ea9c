"""Clients' own graphs: checked, changed by overrides, and searched for the files they load."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.domain.errors import FieldError, InvalidGraph, TooLarge
from comfyq.domain.files.inputs import PLACEHOLDER, InputFile
from comfyq.domain.files.references import is_reference, references_in, referred
from comfyq.domain.files.sources import ASSET, is_source, normalized
from comfyq.domain.graph.graph import (
    MAX_NODES,
    Graph,
    Input,
    NewGraph,
    faults,
    is_ui_export,
    reference,
    set_input,
)
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.value_range import spec_at
from comfyq.domain.suggestions import HINTED, among
from comfyq.domain.workflow.file_inputs import file_kind
from comfyq.domain.workflow.parameters import shown

MAX_GRAPH_BYTES = 256 * 1024  # a stored item is at most 350 KB
MAX_OVERRIDES = 100
NO_REFERENCE = 'is no reference to a file; write {"__type": "core/ASSET", "info": {"id": "<UUID>"}}'
NO_FILE = (
    "takes no file, as far as is known: files are taken by ComfyUI's own loaders, and by inputs "
    "that the catalogue of a worker marks as uploads"
)


def read_graph(value: Any, overrides: Mapping[str, Any]) -> NewGraph:
    """Return a checked copy of a client's graph with ``overrides`` applied.

    Raises:
        InvalidGraph: the graph is not in API format, or an override's input does not exist.
        TooLarge: the graph has more than 1,000 nodes or 256 KB.
    """
    if isinstance(value, Mapping) and len(value) > MAX_NODES:
        raise TooLarge(f"graph: has {len(value)} nodes; the most is {MAX_NODES}")
    text = "" if is_ui_export(value) else _encoded(value, "graph")  # which bounds what follows
    wrong = faults(value)
    if wrong:
        fields = [FieldError(_path(fault.node), fault.message) for fault in wrong]
        raise _invalid(fields)
    graph: NewGraph = json.loads(text)
    _override(graph, json.loads(_encoded(dict(overrides), "overrides")))
    return graph


def take_files(graph: NewGraph, catalogue: NodeCatalogue | None) -> tuple[InputFile, ...]:
    """Return the files that loaders name by URL, data URI, ``asset:ID`` or reference, and replace
    them in the graph by placeholders. Loaders of custom classes are known by the catalogue.

    Raises:
        InvalidGraph: a reference names no asset, or stands where no file is taken.
    """
    files = tuple(_files(graph, catalogue))
    for number, file in enumerate(files):
        set_input(graph, Input(file.node, file.input), f"{PLACEHOLDER}{number}")
    return files


def _files(graph: Graph, catalogue: NodeCatalogue | None) -> Iterator[InputFile]:
    for node, body in graph.items():
        for name, value in body["inputs"].items():
            place = Input(node, name)
            source = _source_at(place, value)
            if source is None:
                continue
            spec = spec_at(catalogue, graph, place) if catalogue else None
            kind = file_kind(body["class_type"], name, spec)
            if kind is not None:
                yield InputFile(parameter="", node=node, input=name, kind=kind, source=source)
            elif not isinstance(value, str):
                raise _invalid([FieldError(_field(place), NO_FILE)])


def _source_at(place: Input, value: object) -> str | None:
    """Return the source that an input's value is, if it is one."""
    if isinstance(value, str):
        return normalized(value) if is_source(value) else None
    found = list(references_in(value))
    if not found:
        return None
    asset_id = referred(found[0]) if is_reference(value) else None
    if asset_id is None:
        raise _invalid([FieldError(_field(place), NO_REFERENCE)])
    return f"{ASSET}{asset_id}"


def _field(place: Input) -> str:
    return f"{_path(place.node)}.inputs.{shown(place.name)[1:-1]}"


def _override(graph: NewGraph, overrides: Mapping[str, Any]) -> None:
    if len(overrides) > MAX_OVERRIDES:
        raise _invalid([FieldError("overrides", f"has over {MAX_OVERRIDES} entries")])
    errors: list[FieldError] = []
    for place, value in overrides.items():
        target = _target(graph, place)
        if target is None:
            reason = _no_target(graph, place, hint=len(errors) < HINTED)
            errors.append(FieldError(f"overrides.{shown(place)[1:-1]}", reason))
        elif reference(value) is not None and value[0] not in graph:
            reason = f"there is no node {shown(value[0])}"
            errors.append(FieldError(f"overrides.{shown(place)[1:-1]}", reason))
        else:
            set_input(graph, target, value)
    if errors:
        raise _invalid(errors)


def _target(graph: Graph, place: str) -> Input | None:
    """Return the input that ``node.input`` names; ids and names may have dots themselves."""
    dotted = (node for node in graph if place[len(node) : len(node) + 1] == ".")
    named = [node for node in dotted if place.startswith(node)]
    for node in sorted(named, key=len):
        inputs = graph[node]["inputs"]
        longest = max(map(len, inputs), default=-1)
        if len(place) - len(node) - 1 <= longest and (name := place[len(node) + 1 :]) in inputs:
            return Input(node, name)
    return None


def _no_target(graph: Graph, place: str, *, hint: bool) -> str:
    node, _, name = place.partition(".")
    if node not in graph:
        known = f"; {among(node, graph)}" if hint else ""
        return f'is not "node.input": there is no node {shown(node)}{known}'
    known = f"; {among(name, graph[node]['inputs'])}" if hint else ""
    return f"node {node} has no input {shown(name)}{known}"


def _encoded(value: Any, field: str) -> str:
    """Encode as strict JSON; refuse NaN, lone surrogates and numbers that JSON readers reject."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except (ValueError, TypeError):
        message = "has a number that is not finite, or text that is not Unicode"
        raise _invalid([FieldError(field, message)]) from None
    if size > MAX_GRAPH_BYTES:
        raise TooLarge(f"{field}: has {size} bytes; the most is {MAX_GRAPH_BYTES}")
    return text


def _path(node: str | None) -> str:
    return "graph" if node is None else f"graph.{shown(node)[1:-1]}"


def _invalid(fields: list[FieldError]) -> InvalidGraph:
    return InvalidGraph("; ".join(f"{each.field}: {each.message}" for each in fields), fields)
