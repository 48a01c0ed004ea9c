"""From an exported graph to a proposal for its manifest, by class, wiring and catalogue."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.node_roles import loaded
from comfyq.domain.workflow.catalogued_graph import CataloguedGraph
from comfyq.domain.workflow.file_inputs import file_kind, likely_kind
from comfyq.domain.workflow.lora_suggestions import lora_strengths_of
from comfyq.domain.workflow.model_family import family_of
from comfyq.domain.workflow.model_files import model_files
from comfyq.domain.workflow.output_nodes import output_nodes
from comfyq.domain.workflow.shared_numbers import followers_of
from comfyq.domain.workflow.suggestion import NotBound, Suggestion, Suggestions, Table
from comfyq.domain.workflow.text_suggestions import texts_of
from comfyq.domain.workflow.unbound_inputs import unbound_of
from comfyq.domain.workflow.value_suggestions import primitives_of, values_of

SIZES = frozenset({"width", "height", "aspect_ratio", "resolution"})
FILE_KINDS = frozenset({"image", "mask", "video", "audio", "model_3d"})
FILE_TITLES = {"model_3d": "3D model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A manifest and a sample, to be read by their author."""

    manifest: Table
    parameters: Mapping[str, Table]
    models: tuple[Table, ...]
    sample: Mapping[str, Any]
    missing: tuple[str, ...] = ()  # what jobs cannot choose, because it was not found
    not_bound: tuple[str, ...] = ()  # inputs that look like parameters, each with a reason


def propose(
    graph: Graph,
    *,
    title: str,
    catalogue: NodeCatalogue | None = None,
    outputs: Sequence[str] = (),
) -> Proposal:
    """Propose a manifest for a graph in API format (``graph.faults`` finds none in it).

    ``outputs`` are the nodes whose files are the result; without, they are looked for.
    """
    catalogued = CataloguedGraph(graph, catalogue)
    suggestions, not_bound = _suggestions(catalogued)
    parameters = suggestions.tables(catalogued.described) | _loras(graph)
    return Proposal(
        manifest={
            "title": title,
            "description": f"Imported: {title}.",
            "version": "1.0.0",
            "family": family_of(graph, catalogue),
            "outputs": list(outputs or output_nodes(catalogued)),
        },
        parameters=parameters,
        models=tuple(model_files(catalogued)),
        sample=suggestions.sample(),
        missing=tuple(_missing(suggestions)),
        not_bound=tuple(str(each) for each in not_bound),
    )


def _suggestions(catalogued: CataloguedGraph) -> tuple[Suggestions, Sequence[NotBound]]:
    """Ask each source in turn: a place that one has suggested is not suggested again."""
    suggestions, not_bound = Suggestions(), list[NotBound]()
    sources = (_texts, _files, values_of, followers_of, lora_strengths_of, primitives_of)
    for source in sources:
        for found in source(catalogued, suggestions):
            if isinstance(found, Suggestion):
                suggestions.add(found)
            else:
                not_bound.append(found)
    not_bound += unbound_of(catalogued, suggestions)
    not_bound += [
        NotBound(f"node {node}", "a manifest cannot name a node with a dot in its id")
        for node in catalogued.graph
        if "." in node
    ]
    return suggestions, not_bound


def _texts(catalogued: CataloguedGraph, _: Suggestions) -> Iterator[Suggestion | NotBound]:
    return texts_of(catalogued)


def _files(catalogued: CataloguedGraph, _: Suggestions) -> Iterator[Suggestion | NotBound]:
    for place, value in catalogued.places():
        if not isinstance(value, str):
            continue
        class_type, spec = catalogued.class_type(place.node), catalogued.spec(place)
        kind = file_kind(class_type, place.name, spec)
        if kind is None and spec is None:
            kind = likely_kind(class_type, value)
        if kind is not None:
            yield Suggestion(kind, _file_table(kind), None, place)


def _file_table(kind: str) -> Table:
    return {
        "kind": kind,
        "required": True,
        "title": FILE_TITLES.get(kind, kind.capitalize()),
        "help": "An asset, URL or data URI.",
        "group": "input",
    }


def _missing(suggestions: Suggestions) -> Iterator[str]:
    """Say what each job has in common, because no parameter changes it."""
    has_file = not suggestions.kinds().isdisjoint(FILE_KINDS)
    if "prompt" not in suggestions.names():
        yield "no prompt was found: no job can say what is to be made"
    if "seed" not in suggestions.kinds():
        yield "no seed was found: equal requests give equal results"
    if suggestions.names().isdisjoint(SIZES) and not has_file:
        yield "no size was found: every result has the graph's own"


def _loras(graph: Graph) -> dict[str, Table]:
    """A list of LoRAs behind whatever loads the model, and the text encoder if there is one."""
    model = loaded(graph, "model", list(graph))
    if model is None or "." in model.node:
        return {}
    clip = loaded(graph, "clip", list(graph))
    table: Table = {"kind": "loras", "model": f"{model.node}.{model.output}"}
    if clip is not None and "." not in clip.node:
        table["clip"] = f"{clip.node}.{clip.output}"
    explained = "LoRA files as `name:strength`; strength (1.0) and extension may be left out."
    return {"loras": table | {"title": "LoRAs", "help": explained, "group": "style"}}
