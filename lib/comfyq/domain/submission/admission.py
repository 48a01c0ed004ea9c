"""Turning a request into a graph that runs, checked against one ComfyUI's catalogue if known."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

from comfyq.domain.errors import InvalidRequest
from comfyq.domain.files.inputs import InputFile
from comfyq.domain.graph.documents.document import Document, read_document
from comfyq.domain.graph.documents.pnginfo import kept_pnginfo
from comfyq.domain.graph.file_paths import outside_paths
from comfyq.domain.graph.graph import Graph, Input, NewGraph
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.saved_names import foreign_names, unsafe_names
from comfyq.domain.graph.validation import MAX_ERRORS, Validation, validate
from comfyq.domain.job import Limits
from comfyq.domain.submission.field_errors import refusal_of_graph, refusal_of_workflow
from comfyq.domain.submission.given_paths import paths_of_values
from comfyq.domain.submission.node_rules import EVERYTHING, NodeRules
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.spec import Spec
from comfyq.domain.workflow.locked_models import models_named, models_to_come
from comfyq.domain.workflow.model_family import family_of
from comfyq.domain.workflow.raw_graph import read_graph, take_files
from comfyq.domain.workflow.workflow import Workflow

RAW = "graph"  # the workflow name of a job with a client's own graph


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedRequest:
    """A request that was admitted, with everything that its job needs."""

    workflow: str
    family: str
    limits: Limits
    spec: Spec
    unsuited: str | None = None  # why no worker that is known is able to run it
    checked: bool  # checked against the catalogue of a worker, which can run it


def admit_workflow(
    workflow: Workflow,
    values: Mapping[str, Any],
    catalogue: NodeCatalogue | None,
    *,
    draw_seed: Callable[[], int],
    rules: NodeRules = EVERYTHING,
) -> AdmittedRequest:
    """Resolve and bind a workflow's values; raises InvalidParameters, InvalidGraph."""
    on = workflow if catalogue is None else workflow.on(catalogue)
    resolved = on.resolve(values, draw_seed=draw_seed)
    graph = on.bind(resolved.parameters)
    named = paths_of_values(on, values, graph, catalogue)
    foreign = list(islice(chain(rules.faults(graph, catalogue), named), MAX_ERRORS))
    models = models_named(workflow.locked, graph)
    may_come = {each.file for each in models_to_come(models, catalogue)}
    verdict = Validation(graph, foreign) if foreign else _judged(graph, catalogue, may_come)
    if not verdict.valid:
        raise refusal_of_workflow(workflow, resolved.parameters, graph, verdict)
    graph = verdict.graph
    return AdmittedRequest(
        workflow=workflow.name,
        family=_family(workflow, graph, catalogue),
        limits=workflow.limits,
        spec=Spec(
            graph=graph,
            parameters=resolved.parameters,
            warnings=tuple(resolved.warnings),
            inputs=on.inputs(resolved.parameters),
            judged_by=None if verdict.awaited else _id_of(catalogue),
            models=models,
        ),
        checked=catalogue is not None,
    )


def graph_check(
    request: Request,
    *,
    any_known: NodeCatalogue | None = None,
    rules: NodeRules = EVERYTHING,
    workflows: Sequence[Workflow] = (),
) -> Callable[[NodeCatalogue | None], AdmittedRequest]:
    """Read a client's own graph once; return its check against one ComfyUI's catalogue, or None.

    ``workflows`` may name what brings a class that is missing.

    Without a catalogue to check it against, an editor file is converted by ``any_known`` one.
    Both this and the check raise InvalidGraph, TooLarge.
    """
    document = read_document(request.graph, request.extra_data)
    kept = kept_pnginfo(document)
    return partial(_admit_graph, request, document, kept, any_known, rules, workflows)


def _admit_graph(
    request: Request,
    document: Document,
    kept: tuple[Mapping[str, Any], Sequence[str]],
    any_known: NodeCatalogue | None,
    rules: NodeRules,
    workflows: Sequence[Workflow],
    catalogue: NodeCatalogue | None,
) -> AdmittedRequest:
    converted, assumed = document.converted(catalogue or any_known)
    graph = read_graph(converted, request.overrides)
    files = take_files(graph, catalogue)
    pnginfo, not_kept = kept
    forbidden = rules.faults(graph, catalogue, own_files=places_of(files))
    named = chain(forbidden, foreign_names(graph), outside_paths(graph, catalogue))
    foreign = list(islice(named, MAX_ERRORS))
    verdict = Validation(graph, foreign) if foreign else _judged(graph, catalogue)
    if not verdict.valid:
        raise refusal_of_graph(request.overrides, verdict, workflows)
    warnings = [*document.warnings, *assumed, *not_kept, *_told(verdict)]
    return AdmittedRequest(
        workflow=RAW,
        family=family_of(verdict.graph, catalogue),
        limits=Limits(),
        spec=Spec(
            graph=verdict.graph,
            parameters={},
            warnings=tuple(warnings),
            inputs=files,
            pnginfo=pnginfo,
            judged_by=_id_of(catalogue),
        ),
        checked=catalogue is not None,
    )


def refusal_of_sample(
    workflow: Workflow, catalogue: NodeCatalogue | None, *, rules: NodeRules = EVERYTHING
) -> InvalidRequest | None:
    """Return why a ComfyUI could not run a workflow's sample, or may not; None if it could."""
    try:
        admit_workflow(workflow, workflow.sample, catalogue, draw_seed=lambda: 0, rules=rules)
    except InvalidRequest as refused:
        return refused
    return None


def places_of(files: Sequence[InputFile]) -> frozenset[Input]:
    """Return the inputs that a job has files for."""
    return frozenset(Input(file.node, file.input) for file in files)


def _judged(
    graph: NewGraph, catalogue: NodeCatalogue | None, may_come: Collection[str] = ()
) -> Validation:
    """Judge what no ComfyUI can save, and then what the one whose catalogue is known can run."""
    unsafe = list(unsafe_names(graph))
    if unsafe or catalogue is None:
        return Validation(graph, unsafe)
    return validate(graph, catalogue, may_come=may_come)


def _id_of(catalogue: NodeCatalogue | None) -> str | None:
    return None if catalogue is None else catalogue.id


def _family(workflow: Workflow, bound: Graph, catalogue: NodeCatalogue | None) -> str:
    """Return the family of models that the bound graph needs: the workflow's, unless the request
    chose another checkpoint."""
    loaded = family_of(bound, catalogue)
    return workflow.family if loaded == family_of(workflow.graph, catalogue) else loaded


def _told(verdict: Validation) -> Sequence[str]:
    return [
        f"{place.node}.{place.name}: {written!r} was taken for {meant!r}"
        for place, written, meant in verdict.completed
    ]
