"""Lists to choose from, and answers that clients ask for at their start."""

from collections.abc import Sequence
from typing import Annotated, Protocol

from fastapi import Depends, Response
from pydantic import BaseModel

from comfyq.domain.caller import Scope
from comfyq.domain.errors import WorkflowNotFound
from comfyq.domain.workflow.workflow import Workflow
from comfyq.edges.a1111.models import DefaultModel
from comfyq.edges.a1111.router import A1111Router
from comfyq.edges.a1111.sampling import sampler_views, schedule_views
from comfyq.edges.a1111.upscaling import FACTOR, NONE, short_names, upscaler_names, upscaler_of
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.responses import rendered
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.services.workflows.picture_models import is_model, model_of
from comfyq.wire.a1111.views import (
    LoraView,
    NamedModelView,
    PlainView,
    StyleView,
    UpscalerView,
)


class ListingServices(Protocol):
    """The services that these routes call."""

    @property
    def library(self) -> WorkflowLibrary: ...


Services = Annotated[ListingServices, Depends(services_of)]
READERS = [needs(Scope.READ)]

router = A1111Router[ListingServices]()


async def chosen(services: Services, default: DefaultModel) -> Workflow | None:
    """Return the workflow of requests that name none, with the choices of a worker."""
    try:
        return await model_of(services.library, default)
    except WorkflowNotFound:
        return None


Chosen = Annotated[Workflow | None, Depends(chosen)]


@router.get("/sd-models", dependencies=READERS)
async def models(services: Services) -> Response:
    """The workflows that make pictures, and that a worker is able to run; also others of them while
    no worker is known."""
    offers = await services.library.list()
    able = [each.workflow for each in offers if each.available is not False]
    names = [workflow.name for workflow in able if is_model(workflow)]
    return _list([NamedModelView(title=name, model_name=name, filename=name) for name in names])


@router.get("/samplers", dependencies=READERS)
async def samplers(workflow: Chosen) -> Response:
    """The samplers that a worker has."""
    return _list(list(sampler_views(_choices(workflow, "sampler"))))


@router.get("/schedulers", dependencies=READERS)
async def schedulers(workflow: Chosen) -> Response:
    """The schedules that a worker has."""
    return _list(list(schedule_views(_choices(workflow, "scheduler"))))


@router.get("/loras", dependencies=READERS)
async def loras(workflow: Chosen) -> Response:
    """The LoRAs that a worker has, by the names that prompts take."""
    files = _choices(workflow, "loras") or ()
    named = zip(short_names(files), files, strict=True)
    return _list([LoraView(name=name, alias=name, path=file, metadata={}) for name, file in named])


@router.get("/upscalers", dependencies=READERS)
async def upscalers(services: Services) -> Response:
    """The models of the workflow that makes pictures larger."""
    try:
        names = upscaler_names(await upscaler_of(services.library))
    except WorkflowNotFound:
        names = []
    made = [UpscalerView(name=name, model_name=name, scale=FACTOR) for name in names]
    return _list([UpscalerView(name=NONE), *made])


@router.get("/prompt-styles", dependencies=READERS)
async def styles(workflow: Chosen) -> Response:
    """The presets and negative prompts of the workflow of requests that name none."""
    if workflow is None:
        return _list([])
    presets = [StyleView(name=name, prompt="", negative_prompt="") for name in workflow.presets]
    negative = workflow.negative_prompts.items()
    named = [StyleView(name=name, prompt="", negative_prompt=text) for name, text in negative]
    return _list([*presets, *named])


def _choices(workflow: Workflow | None, name: str) -> tuple[str, ...] | None:
    parameter = None if workflow is None else workflow.parameters.get(name)
    return None if parameter is None else parameter.choices


def _list(views: Sequence[BaseModel]) -> Response:
    return rendered(PlainView([view.model_dump() for view in views]))
