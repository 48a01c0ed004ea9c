"""Refusals of graphs by ComfyUI, in words that a client can act on. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from comfyq.adapters.comfyui.answers import mapping, sequence
from comfyq.domain.suggestions import SHORT_CHARS, closest
from comfyq.ports.engine import GraphRefused, NodeError

Body = Mapping[str, Any]  # of the answer to POST /prompt
Catalogue = Mapping[str, Any]  # /object_info, or a part of it

MAX_NAMES = 50
MAX_MESSAGE_CHARS = 2_000
MAX_VALUE_CHARS = 200
NODE_IN_DETAILS = re.compile(r"#([^'\s]+)")  # "Node ID '#12'"


def graph_refused(body: Body, graph: Mapping[str, Any], catalogue: Catalogue) -> GraphRefused:
    """Return the error for an answer with ``error`` or ``node_errors``.

    ``catalogue`` supplies the existing names that ComfyUI leaves out of long lists.
    """
    errors = tuple(_of_nodes(body, catalogue)) or tuple(_of_graph(body, graph))
    error = mapping(body.get("error"))
    heading = str(error.get("message") or "A part of the graph is not valid")
    reasons = "; ".join(f"{e.class_type} ({e.node}): {e.message}" for e in errors)
    message = f"{heading}: {reasons}" if reasons else f"{heading} {error.get('details', '')}"
    return GraphRefused(message.strip()[:MAX_MESSAGE_CHARS], errors)


def classes_without_names(body: Body) -> set[str]:
    """Node classes whose lists of names ComfyUI left out of its answer."""
    return {
        str(node.get("class_type"))
        for node in map(mapping, mapping(body.get("node_errors")).values())
        for error in map(mapping, sequence(node.get("errors")))
        if _is_wrong_name(error) and not _names(_extra(error).get("input_config"))
    }


def nearest(wrong: Any, names: list[str]) -> tuple[str, ...]:
    """Return at most 50 names, the most similar to the wrong one first."""
    return tuple(closest(str(wrong)[:SHORT_CHARS], names, most=MAX_NAMES, cutoff=0.0))


def _of_nodes(body: Body, catalogue: Catalogue) -> Iterator[NodeError]:
    for node, entry in mapping(body.get("node_errors")).items():
        about = mapping(entry)
        class_type = str(about.get("class_type", ""))
        for error in map(mapping, sequence(about.get("errors"))):
            if _is_wrong_name(error):
                yield _wrong_name(node, class_type, error, catalogue)
            else:
                yield _plain(node, class_type, error)


def _wrong_name(node: str, class_type: str, error: Body, catalogue: Catalogue) -> NodeError:
    extra = _extra(error)
    field, wrong = str(extra.get("input_name")), extra.get("received_value")
    names = _names(extra.get("input_config")) or _names_of(catalogue, class_type, field)
    message = f"{field}: {str(wrong)[:MAX_VALUE_CHARS]!r} does not exist"
    return NodeError(node, class_type, message, nearest(wrong, names))


def _plain(node: str, class_type: str, error: Body) -> NodeError:
    details = str(error.get("details", ""))[:MAX_MESSAGE_CHARS]
    field = _extra(error).get("input_name")
    said = str(error.get("message", error.get("type", "")))[:MAX_MESSAGE_CHARS]
    message = f"{field}: {said}" if field else said
    return NodeError(node, class_type, message, (details,) if details else ())


def _of_graph(answer: Body, graph: Mapping[str, Any]) -> Iterator[NodeError]:
    """Return the node error of an unknown class, which older versions report only in a text."""
    error = mapping(answer.get("error"))
    in_words = NODE_IN_DETAILS.search(str(error.get("details", "")))
    node = _extra(error).get("node_id") or (in_words and in_words.group(1))
    if node:
        body = graph.get(str(node))
        class_type = body.get("class_type") if isinstance(body, Mapping) else None
        yield NodeError(str(node), str(class_type or ""), str(error.get("message", "")))


def _is_wrong_name(error: Body) -> bool:
    return error.get("type") == "value_not_in_list"


def _extra(error: Body) -> Mapping[str, Any]:
    return mapping(error.get("extra_info"))


def _names_of(catalogue: Catalogue, class_type: str, field: str) -> list[str]:
    groups = mapping(mapping(catalogue.get(class_type)).get("input"))
    for group in ("required", "optional"):
        if field in mapping(groups.get(group)):
            return _names(groups[group][field])
    return []


def _names(config: Any) -> list[str]:
    """The choices of an input: ``[[names], ...]``, or ``["COMBO", {"options": [names]}]``."""
    if not isinstance(config, list) or not config:
        return []
    if isinstance(config[0], list):
        return [str(name) for name in config[0]]
    options = mapping(config[1]) if len(config) > 1 else {}
    return [str(name) for name in sequence(options.get("options"))]
