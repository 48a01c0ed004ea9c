"""Workflows as clients see them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from comfyq.domain.environment.custom_nodes import CustomNodes
from comfyq.domain.workflow.kinds import KINDS
from comfyq.domain.workflow.workflow import Model
from comfyq.services.workflows.library import Listing


class ModelView(BaseModel):
    """A file that the workflow loads."""

    file: str
    folder: str = Field(description="Below ComfyUI's `models`.")
    url: str = Field(description="Where people get it.")
    note: str
    available: bool | None = Field(
        description="Null: no worker is known, or it does not list the folder."
    )

    @classmethod
    def of(cls, model: Model, available: bool | None) -> "ModelView":
        return cls(
            file=model.file,
            folder=model.folder,
            url=model.url,
            note=model.note,
            available=available,
        )


class CustomNodesView(BaseModel):
    """A git repository of custom nodes that the workflow needs."""

    repository: str
    commit: str
    classes: list[str] = Field(description="Of nodes that it brings, as far as its author says.")

    @classmethod
    def of(cls, nodes: CustomNodes) -> "CustomNodesView":
        return cls(repository=nodes.repository, commit=nodes.commit, classes=list(nodes.classes))


class WorkflowSummary(BaseModel):
    name: str
    title: str
    description: str
    version: str
    available: bool | None = Field(
        description="Whether a known worker could run it; null: nothing is known of any worker."
    )
    reasons: list[str] = Field(description="Why it is not available.")
    forbidden: bool = Field(
        default=False, description="The operator's lists of node classes alone are the reason."
    )
    takes: list[str] = Field(
        default=[], description="Kinds of the files that its parameters take: image, mask, video …"
    )


class WorkflowList(BaseModel):
    workflows: list[WorkflowSummary]

    @classmethod
    def of(cls, offers: list[Listing], faults: Mapping[str, str]) -> "WorkflowList":
        """List the workflows that are served, and the broken ones, each with its fault."""
        served = [WorkflowSummary(**_summary(offer)) for offer in offers]
        broken = [_broken(name, fault) for name, fault in faults.items()]
        return cls(workflows=sorted([*served, *broken], key=lambda each: each.name))


class WorkflowView(WorkflowSummary):
    """All that is to be known for using a workflow."""

    family: str = Field(description="Jobs of one family share loaded models.")
    parameters: dict[str, Any] = Field(
        description="JSON Schema of a request's values, with what the worker has to choose from."
    )
    presets: Mapping[str, Mapping[str, Any]] = Field(description="Values by name of `preset`.")
    negative_prompts: Mapping[str, str] = Field(description="By name of `negative_preset`.")
    sample: Mapping[str, Any] = Field(description="Values that work.")
    models: list[ModelView]
    nodes: list[CustomNodesView] = Field(
        default=[], description="Custom nodes that a worker's image needs for it."
    )
    outputs: list[str] = Field(description="Ids of the nodes whose files are the result.")

    @classmethod
    def of(cls, offer: Listing) -> "WorkflowView":
        workflow = offer.workflow
        models = zip(workflow.models, offer.models, strict=True)
        return cls(
            **_summary(offer),
            family=workflow.family,
            parameters=workflow.json_schema(),
            presets=workflow.presets,
            negative_prompts=workflow.negative_prompts,
            sample=workflow.sample,
            models=[ModelView.of(model, available) for model, available in models],
            nodes=[CustomNodesView.of(each) for each in workflow.nodes],
            outputs=list(workflow.outputs),
        )


class WorkflowChoices(BaseModel):
    """The names that parameters of a workflow are chosen from."""

    choices: Mapping[str, list[str]] = Field(
        description="By parameter, the names that the worker which suits the workflow best has; of "
        "`loras`, those that an entry may begin with. A parameter of which no worker tells them is "
        "left out."
    )

    @classmethod
    def of(cls, offer: Listing) -> "WorkflowChoices":
        parameters = offer.workflow.parameters.items()
        return cls(choices={name: list(p.choices) for name, p in parameters if p.choices})


def _broken(name: str, fault: str) -> WorkflowSummary:
    reasons = [f"it is broken: {fault}"]
    return WorkflowSummary(
        name=name, title=name, description="", version="", available=False, reasons=reasons
    )


def _summary(offer: Listing) -> dict[str, Any]:
    workflow = offer.workflow
    return {
        "name": workflow.name,
        "title": workflow.title,
        "description": workflow.description,
        "version": workflow.version,
        "available": offer.available,
        "reasons": list(offer.reasons),
        "forbidden": offer.forbidden,
        "takes": sorted({p.kind for p in workflow.parameters.values() if KINDS[p.kind].is_file}),
    }
