"""What clients ask for at their start, and what has the same answer always."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import Depends, Response

from comfyq.domain.caller import Scope
from comfyq.domain.graph.documents.errors import UnreadableDocument
from comfyq.domain.graph.documents.pictures import texts_of_picture
from comfyq.edges.a1111.counting import COUNTED_READERS, RateServices
from comfyq.edges.a1111.pictures import content_of
from comfyq.edges.a1111.refusals import refused
from comfyq.edges.a1111.router import A1111Router
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import require_json
from comfyq.edges.api.responses import rendered
from comfyq.wire.a1111.requests import PngInfo
from comfyq.wire.a1111.views import PlainView, PngInfoView

INFOTEXT = "parameters"  # name of the text that AUTOMATIC1111 saves in its pictures
READERS = [needs(Scope.READ)]

ANSWERS: Mapping[str, Any] = {
    "cmd-flags": {"api": True},
    "embeddings": {"loaded": {}, "skipped": {}},
    "face-restorers": [],
    "hypernetworks": [],
    "latent-upscale-modes": [],
    "memory": {"ram": {}, "cuda": {}},
    "realesrgan-models": [],
    "script-info": [],
    "scripts": {"txt2img": [], "img2img": []},
    "sd-vae": [],
}
REFRESHED = ("refresh-checkpoints", "refresh-loras", "refresh-vae")  # which are always fresh


router = A1111Router[RateServices]()


async def _fixed(answer: Any) -> Response:
    return rendered(PlainView(answer))


for name, answer in ANSWERS.items():
    router.add_api_route(
        f"/{name}", partial(_fixed, answer), methods=["GET"], dependencies=READERS, name=name
    )
for name in REFRESHED:
    router.add_api_route(
        f"/{name}", partial(_fixed, None), methods=["POST"], dependencies=COUNTED_READERS, name=name
    )


@router.post("/png-info", dependencies=[*COUNTED_READERS, Depends(require_json)])
async def png_info(body: PngInfo) -> Response:
    """The texts in a picture."""
    try:
        texts = texts_of_picture(content_of(body.image, "image"))
    except UnreadableDocument as unreadable:
        raise refused("image", str(unreadable)) from None
    info = texts.pop(INFOTEXT, "")
    return rendered(PngInfoView(info=info, items=texts, parameters={}))
