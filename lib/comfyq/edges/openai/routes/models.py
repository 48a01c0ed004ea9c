"""``/v1/models``: the workflows."""

from typing import Annotated, Protocol

from fastapi import Depends, Path, Response

from comfyq.domain.caller import Scope
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.responses import rendered
from comfyq.edges.openai.router import OpenAIRouter
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.wire.openai.models import ModelListView, ModelView


class ModelServices(Protocol):
    """The services that these routes call."""

    @property
    def library(self) -> WorkflowLibrary: ...


Services = Annotated[ModelServices, Depends(services_of)]

router = OpenAIRouter[ModelServices](prefix="/models", tags=["openai"])


@router.get("", dependencies=[needs(Scope.READ)])
async def listing(services: Services) -> Response:
    """The workflows that a worker is able to run, or all while no worker is known."""
    offers = await services.library.list()
    able = [each.workflow.name for each in offers if each.available is not False]
    return rendered(ModelListView(data=[ModelView(id=name) for name in able]))


@router.get("/{name}", dependencies=[needs(Scope.READ)])
async def show(services: Services, name: Annotated[str, Path(max_length=200)]) -> Response:
    """One workflow."""
    found = await services.library.show(name)
    return rendered(ModelView(id=found.workflow.name))
