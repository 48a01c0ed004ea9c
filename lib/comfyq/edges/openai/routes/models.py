"""``/v1/models``: the workflows."""

from typing import Annotated, Protocol

from fastapi import Depends, Path, Response

from comfyq.domain.caller import Scope
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.responses import rendered
from comfyq.edges.openai.router import OpenAIRouter
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.services.workflows.picture_models import is_model, model_of
from comfyq.wire.openai.models import ModelListView, ModelView


class ModelServices(Protocol):
    """The services that these routes call."""

    @property
    def library(self) -> WorkflowLibrary: ...


Services = Annotated[ModelServices, Depends(services_of)]

router = OpenAIRouter[ModelServices](prefix="/models", tags=["openai"])


@router.get("", dependencies=[needs(Scope.READ)])
async def listing(services: Services) -> Response:
    """The workflows that make pictures, and that a worker is able to run; also others of them while
    no worker is known."""
    offers = await services.library.list()
    able = [each.workflow for each in offers if each.available is not False]
    names = [workflow.name for workflow in able if is_model(workflow)]
    return rendered(ModelListView(data=[ModelView(id=name) for name in names]))


@router.get("/{name}", dependencies=[needs(Scope.READ)])
async def show(services: Services, name: Annotated[str, Path(max_length=200)]) -> Response:
    """One workflow."""
    workflow = await model_of(services.library, name)
    return rendered(ModelView(id=workflow.name))
