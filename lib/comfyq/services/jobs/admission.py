"""Checking requests before a GPU works on them.

A request is admitted if at least one worker can run it. If no worker is known, it is admitted too:
with scale-to-zero, workers start only after a job is stored.

Clients' own graphs are read and judged in a thread: the largest take seconds, in which the event
loop has to answer others. The interpreter passes between the two every 5 ms, so a thread is enough,
and no process needs the catalogues; behind several threads the loop would wait too long. A small
graph of known classes takes a fraction of a millisecond, less than handing it to a thread does.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from comfyq.domain.errors import (
    FieldError,
    InvalidGraph,
    InvalidParameters,
    InvalidRequest,
    WorkflowNotFound,
)
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.validation import MAX_ERRORS, Validation
from comfyq.domain.job import Job
from comfyq.domain.submission.admission import (
    RAW,
    AdmittedRequest,
    admit_workflow,
    graph_check,
    places_of,
)
from comfyq.domain.submission.field_errors import refusal_of_graph
from comfyq.domain.submission.node_rules import EVERYTHING, NodeRules
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.spec import Spec
from comfyq.domain.workflow.workflow import Workflow
from comfyq.ports.workflows import Workflows
from comfyq.services.workflows.node_catalogues import KnownCatalogues

MAX_NAMED = 20  # refused values that an answer lists
# A small graph has no more:
FEW_NODES, FEW_INPUTS, FEW_CATALOGUES = 20, 150, 4
ENTRY = re.compile(r"\.\d+$")  # a field that is an entry of a list

Check = Callable[[NodeCatalogue | None], AdmittedRequest]


class Admission:
    def __init__(
        self,
        *,
        workflows: Workflows,
        catalogues: KnownCatalogues,
        draw_seed: Callable[[], int],
        rules: NodeRules = EVERYTHING,
    ) -> None:
        self._workflows = workflows
        self._catalogues = catalogues
        self._draw_seed = draw_seed
        self._rules = rules
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="graphs")

    async def admit(self, request: Request) -> AdmittedRequest:
        """Check a request and bind its graph; nothing is stored.

        Raises:
            WorkflowNotFound, InvalidParameters, InvalidGraph, TooLarge.
            TableUnavailable: the workers' node catalogues cannot be read.
        """
        known = await self._catalogues.known()
        if request.graph is None:
            return _on_any(self._workflow_check(request), known, may_wait=request.wait)
        _refuse_values(request)
        admitted = partial(_read_and_admitted, request, known, rules=self._rules)
        if _is_small(request, known):
            return admitted()
        admitted = partial(admitted, workflows=self._needing_nodes())
        return await asyncio.get_running_loop().run_in_executor(self._thread, admitted)

    def readmit(self, job: Job, spec: Spec) -> None:
        """Refuse the graph of an earlier job if it may not run here any more.

        Raises:
            InvalidGraph.
        """
        own_files = places_of(spec.inputs) if job.workflow == RAW else None
        errors = list(islice(self._rules.faults(spec.graph, None, own_files=own_files), MAX_ERRORS))
        if errors:
            raise refusal_of_graph({}, Validation(dict(spec.graph), errors))

    def _needing_nodes(self) -> Sequence[Workflow]:
        """Return the workflows that need custom nodes: they say where a class comes from."""
        known = []
        for name in self._workflows.names():
            with suppress(WorkflowNotFound):  # it was deleted or broken just now
                known.append(self._workflows.get(name))
        return [each for each in known if each.nodes]

    def _workflow_check(self, request: Request) -> Check:
        for name in ("overrides", "extra_data"):
            if getattr(request, name) not in (None, {}):
                message = "goes with `graph` alone; for a workflow, set its parameters instead"
                raise InvalidParameters([FieldError(name, message)])
        workflow = self._workflows.get(request.workflow)
        return partial(
            admit_workflow,
            workflow,
            request.values,
            draw_seed=self._draw_seed,
            rules=self._rules,
        )


def _is_small(request: Request, known: Sequence[NodeCatalogue]) -> bool:
    """Return whether a graph, which may be none, is judged in a fraction of a millisecond."""
    graph = request.graph
    if not isinstance(graph, Mapping) or request.overrides or request.extra_data:
        return False
    if len(graph) > FEW_NODES or len(known) > FEW_CATALOGUES:
        return False
    nodes = [node for node in graph.values() if isinstance(node, Mapping)]
    inputs = [node["inputs"] for node in nodes if isinstance(node.get("inputs"), Mapping)]
    classes = [node["class_type"] for node in nodes if isinstance(node.get("class_type"), str)]
    is_whole = len(graph) == len(inputs) == len(classes)
    if not is_whole or sum(map(len, inputs)) > FEW_INPUTS:
        return False
    return all(_is_listed(node, catalogue) for node in nodes for catalogue in known)


def _is_listed(node: Mapping[str, Any], catalogue: NodeCatalogue) -> bool:
    """Return whether a node's class and its choices are known: in the place of others, those that
    may be meant are searched for, which takes milliseconds each."""
    node_class = catalogue.classes.get(node["class_type"])
    if node_class is None:
        return False
    of_choices = (
        (value, spec.choices)
        for name, value in node["inputs"].items()
        if (spec := node_class.inputs.get(name)) is not None and spec.choices is not None
    )
    return all(value in choices for value, choices in of_choices)


def _read_and_admitted(
    request: Request,
    known: Sequence[NodeCatalogue],
    *,
    rules: NodeRules,
    workflows: Sequence[Workflow] = (),
) -> AdmittedRequest:
    """Read the request's graph, once for all catalogues, and admit it."""
    any_known = next(iter(known), None)
    check = graph_check(request, any_known=any_known, rules=rules, workflows=workflows)
    return _on_any(check, known, may_wait=request.wait)


def _on_any(check: Check, known: Sequence[NodeCatalogue], *, may_wait: bool) -> AdmittedRequest:
    """Admit on the first catalogue that is able to run it, or unchecked if none is known."""
    refusals: list[InvalidRequest] = []
    for catalogue in known:
        try:
            return check(catalogue)
        except InvalidRequest as refused:
            refusals.append(refused)
    if not refusals:
        return check(None)
    refusal = min(refusals, key=lambda refused: len(refused.fields))
    if not may_wait:
        raise refusal
    return replace(check(None), unsuited=_lacking(refusal))


def _lacking(refusal: InvalidRequest) -> str:
    """Say what no worker has; an entry of a list is named by its own text, not by its place."""
    lacks = [
        each.message if ENTRY.search(each.field) else f"{each.field}: {each.message}"
        for each in refusal.fields
    ]
    return f"no worker has what it needs: {'; '.join(lacks) or refusal}"


def _refuse_values(request: Request) -> None:
    message = "is a parameter of workflows; with `graph`, set the node's input by `overrides`"
    fields = [FieldError(name, message) for name in list(request.values)[:MAX_NAMED]]
    if request.workflow:
        fields.append(FieldError("workflow", "cannot stand beside `graph`; leave one of them out"))
    if fields:
        raise InvalidGraph("; ".join(f"{f.field}: {f.message}" for f in fields), fields)
