"""Whether a request may become a job, decided before a GPU sees it.

A job is admitted if one worker alone could run it. Where nothing is known of any worker, it is
accepted: with scale-to-zero there may never be one when a request comes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from comfyq.domain.blame import refusal_of_graph, refusal_of_workflow
from comfyq.domain.catalogue import Catalogue
from comfyq.domain.errors import FieldError, InvalidGraph, InvalidParameters, InvalidRequest
from comfyq.domain.graph import Graph
from comfyq.domain.job import Limits
from comfyq.domain.raw_graphs import family_of, read_graph, take_files
from comfyq.domain.request import Request
from comfyq.domain.spec import Spec
from comfyq.domain.validation import Verdict, validate
from comfyq.domain.workflow import Workflow
from comfyq.ports.workflows import Workflows

RAW = "graph"  # what a job of a client's own graph has for a workflow


class KnownCatalogues(Protocol):
    async def known(self) -> Sequence[Catalogue]:
        """What live workers can run; none: nothing is known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What a job of a request would be."""

    workflow: str
    family: str
    limits: Limits
    spec: Spec
    checked: bool  # a worker is known that could run it


class Admission:
    def __init__(
        self, *, workflows: Workflows, catalogues: KnownCatalogues, draw_seed: Callable[[], int]
    ) -> None:
        self._workflows = workflows
        self._catalogues = catalogues
        self._draw_seed = draw_seed

    async def admit(self, request: Request) -> Admitted:
        """Check a request and bind its graph; nothing is stored.

        Raises:
            WorkflowNotFound, InvalidParameters, InvalidGraph, TooLarge.
            TableUnavailable: it cannot be asked what workers can run.
        """
        offer = self._offer(request)
        catalogues = await self._catalogues.known()
        refusals: list[InvalidRequest] = []
        for catalogue in catalogues:
            try:
                return offer(catalogue)
            except InvalidRequest as refused:
                refusals.append(refused)
        if refusals and not request.wait:
            raise min(refusals, key=lambda refused: len(refused.fields))
        return offer(None)

    def refused_by(self, workflow: Workflow, catalogue: Catalogue) -> InvalidRequest | None:
        """Why a worker could not run a workflow's sample; None if it could."""
        try:
            self._bound(workflow, workflow.sample, catalogue)
        except InvalidRequest as refused:
            return refused
        return None

    def _offer(self, request: Request) -> Callable[[Catalogue | None], Admitted]:
        """How the request is bound for one worker, or without knowing any (None)."""
        if request.graph is not None:
            _refuse_values(request)
            return lambda catalogue: _own_graph(request, catalogue)
        if request.overrides:
            message = "are for a `graph` of your own; a workflow has parameters"
            raise InvalidParameters([FieldError("overrides", message)])
        workflow = self._workflows.get(request.workflow)
        return lambda catalogue: self._bound(workflow, request.values, catalogue)

    def _bound(
        self, workflow: Workflow, values: Mapping[str, Any], catalogue: Catalogue | None
    ) -> Admitted:
        on = workflow if catalogue is None else workflow.on(catalogue)
        resolved = on.resolve(values, draw_seed=self._draw_seed)
        graph, warnings = on.bind(resolved.parameters), list(resolved.warnings)
        if catalogue is not None:
            verdict = validate(graph, catalogue)
            if not verdict.valid:
                raise refusal_of_workflow(workflow, resolved.parameters, graph, verdict)
            graph = verdict.graph
        spec = Spec(
            graph=graph,
            parameters=resolved.parameters,
            warnings=tuple(warnings),
            inputs=on.inputs(resolved.parameters),
        )
        return Admitted(
            workflow=workflow.name,
            family=_family(workflow, graph),
            limits=workflow.limits,
            spec=spec,
            checked=catalogue is not None,
        )


def _family(workflow: Workflow, bound: Graph) -> str:
    """A request that chose another checkpoint shares no models with the others."""
    loaded = family_of(bound)
    return workflow.family if loaded == family_of(workflow.graph) else loaded


def _own_graph(request: Request, catalogue: Catalogue | None) -> Admitted:
    graph = read_graph(request.graph, request.overrides)
    files = take_files(graph)
    completed: Sequence[str] = ()
    if catalogue is not None:
        verdict = validate(graph, catalogue)
        if not verdict.valid:
            raise refusal_of_graph(request.overrides, verdict)
        graph, completed = verdict.graph, _told(verdict)
    spec = Spec(graph=graph, parameters={}, warnings=tuple(completed), inputs=files)
    return Admitted(
        workflow=RAW,
        family=family_of(graph),
        limits=Limits(),
        spec=spec,
        checked=catalogue is not None,
    )


def _refuse_values(request: Request) -> None:
    message = "is a parameter of workflows; with `graph`, put it there by `overrides`"
    fields = [FieldError(name, message) for name in list(request.values)[:20]]
    if request.workflow:
        fields.append(FieldError("workflow", "cannot stand beside `graph`; leave one of them out"))
    if fields:
        raise InvalidGraph("; ".join(f"{f.field}: {f.message}" for f in fields), fields)


def _told(verdict: Verdict) -> Sequence[str]:
    return [
        f"{place.node}.{place.name}: {written!r} was taken for {meant!r}"
        for place, written, meant in verdict.completed
    ]
