"""``/workflows``: what there is to run, and a typed way of running each."""

from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import Depends, Path

from comfyq.domain.caller import Scope
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import require_json, services_of
from comfyq.edges.api.open_answers.preferred_wait import WAITING
from comfyq.edges.api.responses import JSON_BODY, problems
from comfyq.edges.api.router import Router
from comfyq.edges.api.submitting import ACCEPTED, NOT_RUN, SubmissionServices, Submits
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.wire.generate.jobs import JobView
from comfyq.wire.generate.requests import WorkflowValues
from comfyq.wire.workflows import WorkflowChoices, WorkflowList, WorkflowView


class WorkflowServices(SubmissionServices, Protocol):
    """The services that these routes call."""

    @property
    def library(self) -> WorkflowLibrary: ...


Services = Annotated[WorkflowServices, Depends(services_of)]

router = Router[WorkflowServices](prefix="/workflows", tags=["workflows"])

Name = Annotated[str, Path(description="With or without `.json`.", max_length=200)]


@router.get("", dependencies=[needs(Scope.READ)])
async def listing(services: Services) -> WorkflowList:
    """The workflows that there are, with a fault where one is broken and not served."""
    library = services.library
    return WorkflowList.of(list(await library.list()), library.faults())


@router.get("/{name}", dependencies=[needs(Scope.READ)], responses=problems(404))
async def show(services: Services, name: Name) -> WorkflowView:
    """All that is to be known for using a workflow."""
    return WorkflowView.of(await services.library.show(name))


@router.get("/{name}/choices", dependencies=[needs(Scope.READ)], responses=problems(404))
async def choices(services: Services, name: Name) -> WorkflowChoices:
    """The names that each of its parameters takes, also of models, of which the schema has few."""
    return WorkflowChoices.of(await services.library.show(name))


@router.post(
    "/{name}/generate",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[Depends(require_json)],
    response_model=JobView,
    openapi_extra=WAITING,
    responses={200: NOT_RUN, 202: ACCEPTED} | JSON_BODY | problems(404, 409, 429),
)
async def generate(name: Name, body: WorkflowValues, submits: Submits) -> Any:
    """Run the workflow. The same as `POST /generate` with its name as `workflow`."""
    return await submits.submit(body.request(name))
