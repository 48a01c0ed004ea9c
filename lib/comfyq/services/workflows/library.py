"""The installed workflows, and their availability on known workers."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from comfyq.domain.errors import InvalidRequest, WorkflowNotFound
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
    models: Sequence[bool | None] = ()  # for each of its models, whether that worker has it


class WorkflowLibrary:
    def __init__(
        self, *, workflows: Workflows, catalogues: KnownCatalogues, rules: NodeRules = EVERYTHING
    ) -> None:
        self._rules = rules
        self._workflows = workflows
        self._catalogues = catalogues
        self._verdicts: dict[tuple[str, str], tuple[Workflow, Sequence[str]]] = {}

    async def list(self) -> Sequence[Listing]:
        """Return every workflow, sorted by name."""
        catalogues = await self._catalogues.known()
        return [self._offer(workflow, catalogues) for workflow in self.all()]

    def faults(self) -> Mapping[str, str]:
        """Return what is wrong with each broken workflow, by name."""
        return self._workflows.faults()

    def are_forbidden(self) -> bool:
        """Return whether the lists of node classes forbid every workflow; no worker is asked."""
        return self._rules.any and all(self._reasons(each, None) for each in self.all())

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
            unknown = [None] * len(workflow.models)
            forbidden = self._reasons(workflow, None)
            return Listing(
                workflow=workflow,
                available=False if forbidden else None,
                reasons=forbidden,
                models=unknown,
            )
        best = min(catalogues, key=lambda catalogue: len(self._reasons(workflow, catalogue)))
        reasons = self._reasons(workflow, best)
        return Listing(
            workflow=workflow.on(best),
            available=not reasons,
            reasons=reasons,
            models=[_is_there(best, model) for model in workflow.models],
        )

    def _reasons(self, workflow: Workflow, catalogue: NodeCatalogue | None) -> Sequence[str]:
        key = (workflow.name, "" if catalogue is None else catalogue.id)
        judged, reasons = self._verdicts.get(key, (None, ()))
        if judged is not workflow:  # it is new, or its author has changed it
            if len(self._verdicts) >= MAX_CACHED:
                self._verdicts.clear()
            reasons = _messages(refusal_of_sample(workflow, catalogue, rules=self._rules))
            self._verdicts[key] = workflow, reasons
        return reasons


def _messages(refused: InvalidRequest | None) -> Sequence[str]:
    return () if refused is None else tuple(each.message for each in refused.fields)


def _is_there(catalogue: NodeCatalogue, model: Model) -> bool | None:
    """Return whether a folder has a model file; None if the catalogue does not list the folder."""
    names = catalogue.models.get(model.folder)
    if names is None:
        return None
    listed = [name.replace("\\", "/") for name in names]
    wanted = model.file.replace("\\", "/")
    return wanted in listed or wanted in {name.rsplit("/", 1)[-1] for name in listed}
