"""Workflows as AUTOMATIC1111's checkpoints: which one a request is for.

A request names it by ``override_settings.sd_model_checkpoint``. For all of its requests a client
names it as the user of HTTP Basic, or chooses it by ``POST /options``: that is stored as its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from comfyq.domain.caller import Caller
from comfyq.domain.submission.request import DEFAULT_WORKFLOW
from comfyq.domain.suggestions import listed
from comfyq.domain.workflow.workflow import Workflow
from comfyq.edges.a1111.refusals import refused
from comfyq.edges.a1111.router import user_of
from comfyq.edges.api.authentication import Reader
from comfyq.edges.api.dependencies import services_of
from comfyq.services.workflows.chosen_models import ChosenModels
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.services.workflows.picture_models import is_model, model_of

CHECKPOINT = "sd_model_checkpoint"
IMAGE, MASK = "image", "mask"
VARIANTS = ("", "-img2img", "-inpaint")  # of a name, which make pictures of pictures


class ModelServices(Protocol):
    """The services that finding a client's model needs."""

    @property
    def library(self) -> WorkflowLibrary: ...

    @property
    def chosen_models(self) -> ChosenModels: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """The workflow of a client's requests that name none."""

    model: str
    named: str  # the workflow that is called as the user of HTTP Basic; empty: none is
    caller: Caller


async def choice_of(request: Request, caller: Reader) -> Choice:
    """Return what the client has chosen; else the user, if a workflow is called so."""
    services: ModelServices = await services_of(request)
    names = [workflow.name for workflow in services.library.all() if is_model(workflow)]
    user = user_of(request)
    named = user if user is not None and user in names else ""
    usual = DEFAULT_WORKFLOW if DEFAULT_WORKFLOW in names or not names else names[0]
    chosen = await services.chosen_models.of(caller, named)
    return Choice(chosen if chosen in names and chosen else named or usual, named, caller)


ModelChoice = Annotated[Choice, Depends(choice_of)]


async def default_of(choice: ModelChoice) -> str:
    return choice.model


DefaultModel = Annotated[str, Depends(default_of)]


async def editor_of(library: WorkflowLibrary, name: str, *, masked: bool) -> Workflow:
    """Return the workflow that makes pictures of pictures by the same model: itself, or the one
    that is called so with ``-img2img`` or ``-inpaint`` behind.

    Raises:
        WorkflowNotFound: there is none of that name.
        InvalidRequest: none of them takes a picture, or a mask.
    """
    await model_of(library, name)
    every = {workflow.name: workflow for workflow in library.all()}
    wanted = {IMAGE, MASK} if masked else {IMAGE}
    for variant in VARIANTS:
        candidate = every.get(f"{name}{variant}")
        if (
            candidate is not None
            and wanted <= _kinds(candidate)
            and not _needs_more(candidate, wanted)
        ):
            return await model_of(library, candidate.name)
    takers = [each.name for each in every.values() if is_model(each) and wanted <= _kinds(each)]
    field = "mask" if masked else "init_images"
    message = f"workflow {name} takes none, nor does one called {name}-img2img or {name}-inpaint; "
    raise refused(field, message + f"name another as {CHECKPOINT}: {listed(takers)}")


def of_kind(workflow: Workflow, kind: str) -> Sequence[str]:
    """Return the names of the parameters of one kind, in the workflow's order."""
    return [name for name, each in workflow.parameters.items() if each.kind == kind]


def _kinds(workflow: Workflow) -> set[str]:
    return {each.kind for each in workflow.parameters.values()}


def _needs_more(workflow: Workflow, given: set[str]) -> bool:
    """Return whether a workflow cannot do without a mask that was not sent."""
    return MASK not in given and any(
        each.kind == MASK and each.required for each in workflow.parameters.values()
    )
