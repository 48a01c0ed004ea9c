"""``txt2img``, ``img2img`` and ``extra-single-image``: pictures in the answer to what asks for
them. Pictures that come along are stored first: that counts towards the rate like an upload."""

from typing import Annotated, Any

from fastapi import Depends, Response

from comfyq.edges.a1111.making import Making, MakingOf
from comfyq.edges.a1111.models import CHECKPOINT, DefaultModel, editor_of
from comfyq.edges.a1111.pictures import stored
from comfyq.edges.a1111.refusals import refused
from comfyq.edges.a1111.router import A1111Router
from comfyq.edges.a1111.upscaling import upscale_values, upscaler_of
from comfyq.edges.a1111.values import asked_of, request_of
from comfyq.edges.api.dependencies import require_json, services_of
from comfyq.edges.api.open_answers.picture_requests import PictureRouteServices
from comfyq.services.workflows.picture_models import model_of
from comfyq.wire.a1111.requests import ImageToImage, TextToImage, Upscale

Services = Annotated[PictureRouteServices, Depends(services_of)]

router = A1111Router[PictureRouteServices]()


@router.post("/txt2img", dependencies=[Depends(require_json)])
async def txt2img(
    body: TextToImage, services: Services, default: DefaultModel, making: MakingOf
) -> Response:
    """Make pictures by a workflow."""
    workflow = await model_of(services.library, _named(body, default))
    return await making.answer(body, asked_of(body, workflow, base_url=making.base_url))


@router.post("/img2img", dependencies=[Depends(require_json)])
async def img2img(
    body: ImageToImage, services: Services, default: DefaultModel, making: MakingOf
) -> Response:
    """Make pictures of pictures, the masked part of them alone if there is a mask."""
    masked = bool(body.mask)
    workflow = await editor_of(services.library, _named(body, default), masked=masked)
    await services.rate_limit.acquire(making.caller)
    images = [
        await _kept(image, f"init_images.{number}", services, making)
        for number, image in enumerate(body.init_images)
    ]
    mask = await _kept(body.mask, "mask", services, making) if body.mask else None
    asked = asked_of(body, workflow, base_url=making.base_url, images=images, mask=mask)
    return await making.answer(body, asked)


@router.post("/extra-single-image", dependencies=[Depends(require_json)])
async def extra_single_image(body: Upscale, services: Services, making: MakingOf) -> Response:
    """Make a picture larger, by a workflow that is for it."""
    workflow = await upscaler_of(services.library)
    values = upscale_values(body, workflow)
    await services.rate_limit.acquire(making.caller)
    values |= {"image": await _kept(body.image, "image", services, making)}
    return await making.upscaled(request_of(values, workflow, making.base_url))


def _named(body: TextToImage, default: str) -> str:
    name: Any = body.overrides.get(CHECKPOINT) or default
    if not isinstance(name, str):
        raise refused(f"override_settings.{CHECKPOINT}", "must be the name of a workflow")
    return name


async def _kept(text: str, field: str, services: PictureRouteServices, making: Making) -> str:
    return await stored(text, field, uploads=services.uploads, caller=making.caller)
