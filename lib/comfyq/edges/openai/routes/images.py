"""``/v1/images``: pictures in the answer to the request that asks for them."""

from typing import Annotated

from fastapi import Depends, Request, Response

from comfyq.domain.submission.request import DEFAULT_WORKFLOW
from comfyq.domain.suggestions import listed
from comfyq.edges.api.dependencies import require_json, services_of
from comfyq.edges.api.open_answers.picture_requests import PictureRouteServices
from comfyq.edges.openai.forms import edit_of
from comfyq.edges.openai.making import MakingOf
from comfyq.edges.openai.router import OpenAIRouter
from comfyq.edges.openai.values import of_kind, refused, requests_for
from comfyq.services.workflows.picture_models import is_model, model_of
from comfyq.wire.openai.images import ImageRequest

Services = Annotated[PictureRouteServices, Depends(services_of)]

router = OpenAIRouter[PictureRouteServices](prefix="/images", tags=["openai"])


@router.post("/generations", dependencies=[Depends(require_json)])
async def generate(body: ImageRequest, services: Services, making: MakingOf) -> Response:
    """Make pictures by a workflow, which ``model`` names."""
    workflow = await model_of(services.library, body.model or DEFAULT_WORKFLOW)
    requests = requests_for(body, workflow, base_url=making.base_url)
    return await making.answer(requests, body.response_format)


@router.post("/edits")
async def edit(request: Request, services: Services, making: MakingOf) -> Response:
    """Make pictures of the ones in a form, which are stored first: that counts towards the rate
    like an upload."""
    await services.rate_limit.acquire(making.caller)
    edit = await edit_of(request, services.uploads, making.caller)
    if edit.asked.model is None:
        models = filter(is_model, services.library.all())
        takers = [each.name for each in models if of_kind(each, "image")]
        raise refused(
            "model", f"is missing; name a workflow that takes a picture: {listed(takers)}"
        )
    workflow = await model_of(services.library, edit.asked.model)
    requests = requests_for(
        edit.asked,
        workflow,
        base_url=making.base_url,
        images=edit.images,
        mask=edit.mask,
    )
    return await making.answer(requests, edit.asked.response_format)
