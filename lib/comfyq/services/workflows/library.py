"""The installed workflows, and their availability on known workers."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from comfyq.domain.errors import InvalidGraph, InvalidRequest, WorkflowNotFound
from comfyq.domain.graph.errors import FORBIDDEN_CLASS
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.submission.admission import refusal_of_sample
from comfyq.domain.submission.node_rules import EVERYTHING, NodeRules
from comfyq.domain.workflow.workflow import Model, Workflow
from comfyq.ports.workflows import Workflows
from comfyq.services.workflows.node_catalogues import KnownCatalogues

MAX_CACHED = 1_000  # cached results, one for each workflow and catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A workflow and its availability on the workers that are known now."""

    workflow: Workflow  # its choices are those of the worker that suits it best
    available: bool | None  # None: no worker is known
    reasons: Sequence[str] = ()  # why it is not available
    forbidden: bool = False  # by the lists of node classes, and available but for them
    models: Sequence[bool | None] = ()  # for each of its models, whether that worker has it


class WorkflowLibrary:
    def __init__(
        self, *, workflows: Workflows, catalogues: KnownCatalogues, rules: NodeRules = EVERYTHING
    ) -> None:
        self._rules = rules
        self._workflows = workflows
        self._catalogues = catalogues
        self._verdicts: dict[
            tuple[str, tuple[str, bool] | None], tuple[Workflow, InvalidRequest | None]
        ] = {}

    async def list(self) -> Sequence[Listing]:
        """Return every workflow, sorted by name."""
        catalogues = await self._catalogues.known()
        return [self._offer(workflow, catalogues) for workflow in self.all()]

    def faults(self) -> Mapping[str, str]:
        """Return what is wrong with each broken workflow, by name."""
        return self._workflows.faults()

    def are_forbidden(self) -> bool:
        """Return whether the lists of node classes forbid every workflow; no worker is asked."""
        return self._rules.any and all(self._refusal(each, None) for each in self.all())

    async def show(self, name: str) -> Listing:
        """Return one workflow; raises WorkflowNotFound."""
        workflow = self._workflows.get(name)
        return self._offer(workflow, await self._catalogues.known())

    def all(self) -> Sequence[Workflow]:
        """Return all workflows as their authors wrote them, regardless of workers, by name."""
        workflows = []
        for name in sorted(self._workflows.names()):
            with suppress(WorkflowNotFound):  # its folder was removed since
                workflows.append(self._workflows.get(name))
        return workflows

    def _offer(self, workflow: Workflow, catalogues: Sequence[NodeCatalogue]) -> Listing:
        if not catalogues:
            refused = self._refusal(workflow, None)
            return Listing(
                workflow=workflow,
                available=None if refused is None else False,
                reasons=_messages(refused),
                forbidden=_is_forbidden(refused),
                models=[None] * len(workflow.models),
            )
        refusals = [(self._refusal(workflow, catalogue), catalogue) for catalogue in catalogues]
        refused, best = min(refusals, key=lambda each: len(_messages(each[0])))
        return Listing(
            workflow=workflow.on(best),
            available=refused is None,
            reasons=_messages(refused),
            forbidden=_is_forbidden(refused),
            models=[_is_there(best, model) for model in workflow.models],
        )

    def _refusal(
        self, workflow: Workflow, catalogue: NodeCatalogue | None
    ) -> InvalidRequest | None:
        key = (workflow.name, None if catalogue is None else (catalogue.id, catalogue.fetches))
        judged, refused = self._verdicts.get(key, (None, None))
        if judged is not workflow:  # it is new, or its author has changed it
            if len(self._verdicts) >= MAX_CACHED:
                self._verdicts.clear()
            refused = refusal_of_sample(workflow, catalogue, rules=self._rules)
            self._verdicts[key] = workflow, refused
        return refused


def _messages(refused: InvalidRequest | None) -> Sequence[str]:
    return () if refused is None else tuple(each.message for each in refused.fields)


def _is_forbidden(refused: InvalidRequest | None) -> bool:
    """Return whether a workflow is refused for nothing but the lists of node classes."""
    if not isinstance(refused, InvalidGraph):
        return False
    errors = [error for node in refused.node_errors.values() for error in node["errors"]]
    return {error["type"] for error in errors} == {FORBIDDEN_CLASS}


def _is_there(catalogue: NodeCatalogue, model: Model) -> bool | None:
    """Return whether a folder has a model file; None if the catalogue does not list the folder."""
    names = catalogue.models.get(model.folder)
    if names is None:
        return None
    listed = [name.replace("\\", "/") for name in names]
    wanted = model.file.replace("\\", "/")
    return wanted in listed or wanted in {name.rsplit("/", 1)[-1] for name in listed}
