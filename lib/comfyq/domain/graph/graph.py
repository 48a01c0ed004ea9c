"""ComfyUI's API-format graphs: node id -> {"class_type": …, "inputs": {…}}.

An input is a plain value or a reference to another node's output, ``[node id, output index]``.
See https://docs.comfy.org/development/core-concepts/workflow
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from comfyq.domain.graph.loras import Lora

UI_EXPORT = (
    "it is what the editor saves, which ComfyUI itself cannot run; export the API format instead: "
    "in ComfyUI's menu “Workflow” choose “Export (API)”, or in older ones switch on the developer "
    "mode in the settings and press “Save (API Format)”"
)

MAX_NODES = 1_000
MAX_FAULTS = 20  # of one graph that are listed: more usually have one cause
MAX_ID_CHARS = 10_000  # which errors repeat
SHOWN_CHARS = 200  # of a name in a message

Graph = Mapping[str, Any]
NewGraph = dict[str, Any]  # a copy of our own, to be changed


class Ref(NamedTuple):
    """One output of a node."""

    node: str
    output: int


class Input(NamedTuple):
    """One input of a node."""

    node: str
    name: str


class Fault(NamedTuple):
    """A fault of a graph; ``node`` is None if it concerns the whole."""

    node: str | None
    message: str


def copied(graph: Graph) -> NewGraph:
    """A graph whose nodes and inputs are its own; values are shared, which nobody changes: each
    is replaced as a whole, by ``set_input``."""
    return {node: {**body, "inputs": dict(body["inputs"])} for node, body in graph.items()}


def reference(value: object) -> Ref | None:
    """The output that an input's value refers to, if it is a reference.

    To ComfyUI ``false`` and ``true`` are the indices 0 and 1, as Python counts.
    """
    match value:
        case [str() as node, int() as output]:
            return Ref(node, int(output))
        case _:
            return None


def is_ui_export(value: object) -> bool:
    """Return whether this is an editor file (nodes with positions), which ComfyUI cannot run."""
    return isinstance(value, Mapping) and isinstance(value.get("nodes"), Sequence)


def faults(value: object) -> Sequence[Fault]:
    """List the first reasons for which ``value`` is not an API-format graph; none if it is one."""
    if is_ui_export(value):
        return [Fault(None, UI_EXPORT)]
    if not isinstance(value, Mapping) or not value:
        return [Fault(None, "a graph is an object of nodes by id, with at least one node")]
    each = (_node_faults(value, node, body) for node, body in value.items())
    return list(islice(chain.from_iterable(each), MAX_FAULTS))


def consumers(graph: Graph, source: Ref) -> Sequence[Input]:
    """Every input that refers to ``source``."""
    return [
        Input(node, name)
        for node, body in graph.items()
        for name, value in body["inputs"].items()
        if reference(value) == source
    ]


def set_input(graph: NewGraph, target: Input, value: object) -> None:
    graph[target.node]["inputs"][target.name] = value


def insert_loras(
    graph: NewGraph, loras: Sequence[Lora], *, model: Ref, clip: Ref | None = None
) -> None:
    """Chain one loader a LoRA behind ``model`` (and ``clip``), in the order given.

    Whatever used the model or clip before uses the end of the chain instead. Without a clip the
    loaders change the model alone.
    """
    if not loras:
        return
    users = {source: consumers(graph, source) for source in (model, clip) if source is not None}
    last_model, last_clip = model, clip
    for node, lora in zip(_free_ids(graph), loras, strict=False):
        graph[node] = _loader(lora, last_model, last_clip)
        last_model = Ref(node, 0)
        last_clip = None if clip is None else Ref(node, 1)
    ends = {model: last_model, clip: last_clip}
    for source, targets in users.items():
        end = ends[source]
        assert end is not None, "a source that is there has an end"
        for target in targets:
            set_input(graph, target, list(end))


def _loader(lora: Lora, model: Ref, clip: Ref | None) -> dict[str, Any]:
    inputs = {"lora_name": lora.name, "strength_model": lora.strength, "model": list(model)}
    if clip is None:
        return {"class_type": "LoraLoaderModelOnly", "inputs": inputs}
    strength = lora.strength if lora.clip_strength is None else lora.clip_strength
    inputs |= {"strength_clip": strength, "clip": list(clip)}
    return {"class_type": "LoraLoader", "inputs": inputs}


def _free_ids(graph: Graph) -> Iterator[str]:
    """Ids for new nodes: ComfyUI's own are numbers, so most graphs have none like these."""
    taken = frozenset(graph)
    number = 0
    while True:
        number += 1
        if f"lora_{number}" not in taken:
            yield f"lora_{number}"


def _node_faults(graph: Graph, node: object, body: object) -> Iterator[Fault]:
    if not isinstance(node, str) or not isinstance(body, Mapping):
        yield Fault(str(node), "a node is an object with `class_type` and `inputs`")
        return
    if len(node) > MAX_ID_CHARS:
        yield Fault(
            None, f"the id of a node has {len(node)} characters; the most is {MAX_ID_CHARS}"
        )
    class_type, inputs = body.get("class_type"), body.get("inputs")
    if not isinstance(class_type, str) or not class_type:
        yield Fault(node, "`class_type` must be the name of a node class")
    if not isinstance(inputs, Mapping):
        yield Fault(node, "`inputs` must be an object")
        return
    for name, value in inputs.items():
        source = reference(value)
        if source is not None and source.node not in graph:
            where, wanted = name[:SHOWN_CHARS], source.node[:SHOWN_CHARS]
            yield Fault(node, f"input `{where}` refers to node {wanted}, which is not there")
