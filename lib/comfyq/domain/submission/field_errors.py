"""Mapping errors of a bound graph to the fields of the request that caused them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from comfyq.domain.environment.custom_nodes import is_named, sources_of
from comfyq.domain.errors import FieldError, InvalidGraph
from comfyq.domain.graph.errors import PATHS, UNKNOWN_CLASS, GraphError
from comfyq.domain.graph.graph import Graph, Input
from comfyq.domain.graph.validation import Validation
from comfyq.domain.submission.given_paths import given_above
from comfyq.domain.workflow.workflow import Workflow

MAX_DETAIL_CHARS = 2_000
MAX_SOURCES = 3  # repositories that a message names
NO_OUTPUTS = "no node of it is an output, such as SaveImage"

Field = Callable[[GraphError], str]  # the path of the field that caused an error, or a text of it


def refusal_of_workflow(
    workflow: Workflow, values: Mapping[str, Any], bound: Graph, verdict: Validation
) -> InvalidGraph:
    """Build the error for a workflow that no ComfyUI runs with these resolved values."""
    owners = {target: name for name, p in workflow.parameters.items() for target in p.bindings}
    texts = [target for target, name in owners.items() if isinstance(values.get(name), str)]
    loaders = dict(zip(_inserted(workflow, bound), _loras(workflow, values), strict=False))

    def field(error: GraphError) -> str:
        place = Input(error.node, error.input or "")
        above = given_above(bound, place, texts) if error.kind in PATHS else None
        owner = owners.get(place if above is None else above)
        return owner or loaders.get(error.node, "workflow")

    return _refusal(verdict, field, hint=partial(_hint, workflow))


def refusal_of_graph(
    overrides: Mapping[str, Any], verdict: Validation, workflows: Sequence[Workflow] = ()
) -> InvalidGraph:
    """Build the error for a client's own graph that no ComfyUI runs; ``workflows`` may name what
    brings a class that is missing."""

    def field(error: GraphError) -> str:
        if error.input is None:
            return f"graph.{error.node}"
        place = f"{error.node}.{error.input}"
        return (
            f"overrides.{place}"
            if place in overrides
            else f"graph.{error.node}.inputs.{error.input}"
        )

    def hint(error: GraphError) -> str:
        if error.kind != UNKNOWN_CLASS:
            return ""
        naming = (each for each in workflows if is_named(error.class_type, each.nodes))
        return next((missing_nodes_hint(error.class_type, each) for each in naming), "")

    return _refusal(verdict, field, hint=hint)


def _inserted(workflow: Workflow, bound: Graph) -> Sequence[str]:
    """The loaders of LoRAs, in the order in which they were put into the graph."""
    return [node for node in bound if node not in workflow.graph]


def _loras(workflow: Workflow, values: Mapping[str, Any]) -> Iterator[str]:
    for name, parameter in workflow.parameters.items():
        if parameter.kind == "loras":
            yield from (f"{name}.{position}" for position in range(len(values[name])))


def _refusal(verdict: Validation, field: Field, *, hint: Field) -> InvalidGraph:
    fields = [FieldError(field(error), _message(error) + hint(error)) for error in verdict.errors]
    if verdict.no_outputs:
        fields.append(FieldError("graph", NO_OUTPUTS))
    text = "; ".join(f"{each.field}: {each.message}" for each in fields)
    detail = text if len(text) <= MAX_DETAIL_CHARS else text[:MAX_DETAIL_CHARS] + "…"
    return InvalidGraph(detail, fields, node_errors=verdict.node_errors())


def _message(error: GraphError) -> str:
    return f"node {error.node} ({error.class_type}): {error.readable()}"


def _hint(workflow: Workflow, error: GraphError) -> str:
    """Say what would bring a model or a class of nodes that is missing, as the manifest has it."""
    if error.kind == UNKNOWN_CLASS:
        return missing_nodes_hint(error.class_type, workflow)
    models = {model.file: model for model in workflow.models}
    model = models.get(str(error.extra.get("received_value")))
    return f"; it belongs into models/{model.folder}: {model.url}" if model else ""


def missing_nodes_hint(class_type: str, workflow: Workflow) -> str:
    """Say which custom nodes of a workflow bring a class; nothing if it names none."""
    sources = sources_of(class_type, workflow.nodes)
    if not sources:
        return ""
    named = " or ".join(map(str, sources[:MAX_SOURCES]))
    more = " or others" if len(sources) > MAX_SOURCES else ""
    return (
        f"; it comes with {named}{more}, which a worker's image needs: `comfyq images dockerfile "
        f"{workflow.name}` prints its recipe"
    )
