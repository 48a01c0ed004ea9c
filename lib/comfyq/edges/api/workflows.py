"""``/workflows``: what there is to run, and a typed way of running each."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from comfyq.edges.api.dependencies import Services, require_json
from comfyq.edges.api.submitting import ACCEPTED, NOT_RUN, Submits
from comfyq.wire.generate.jobs import JobView
from comfyq.wire.generate.requests import WorkflowValues
from comfyq.wire.workflows import WorkflowList, WorkflowView

router = APIRouter(prefix="/workflows", tags=["workflows"])

Name = Annotated[str, Path(description="With or without `.json`.", max_length=200)]


@router.get("")
async def workflows(api: Services) -> WorkflowList:
    """The workflows that there are."""
    return WorkflowList.of(list(await api.library.list()))


@router.get("/{name}")
async def workflow(api: Services, name: Name) -> WorkflowView:
    """All that is to be known for using a workflow."""
    return WorkflowView.of(await api.library.show(name))


@router.post(
    "/{name}/generate",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=[Depends(require_json)],
    response_model=JobView,
    responses={200: NOT_RUN, 202: ACCEPTED},
)
async def generate(name: Name, body: WorkflowValues, submits: Submits) -> Any:
    """Run the workflow. The same as `POST /generate` with its name as `workflow`."""
    return await submits.submit(body.request(name))
