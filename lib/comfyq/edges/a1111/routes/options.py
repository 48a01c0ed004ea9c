"""``options``: what a server is set to. A client chooses its model, and nobody else's."""

from typing import Annotated, Protocol

from fastapi import Depends, Request, Response

from comfyq.domain.caller import Scope
from comfyq.edges.a1111.counting import COUNTED_READERS, RateServices
from comfyq.edges.a1111.models import (
    CHECKPOINT,
    DefaultModel,
    ModelChoice,
    ModelServices,
)
from comfyq.edges.a1111.refusals import refused
from comfyq.edges.a1111.router import A1111Router
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import require_json, services_of, streams_of
from comfyq.edges.api.responses import rendered
from comfyq.services.workflows.picture_models import model_of
from comfyq.wire.a1111.requests import Options
from comfyq.wire.a1111.views import EmptyView, OptionsView


class OptionServices(RateServices, ModelServices, Protocol):
    """The services that these routes call."""


router = A1111Router[OptionServices]()


@router.get("/options", dependencies=[needs(Scope.READ)])
async def options(request: Request, default: DefaultModel) -> Response:
    """Tell the options by which a request is made that names no others."""
    return rendered(await _present(request, default))


@router.post("/options", dependencies=[*COUNTED_READERS, Depends(require_json)])
async def set_options(
    request: Request,
    body: Options,
    services: Annotated[OptionServices, Depends(services_of)],
    choice: ModelChoice,
) -> Response:
    """Choose a model for the requests of this key that name none, and accept what is so anyway;
    what else would have to be kept is refused."""
    present = (await _present(request, choice.model)).model_dump()
    chosen: str | None = None
    for name, value in (body.model_extra or {}).items():
        if name in present and value == present[name]:
            continue
        if name != CHECKPOINT:
            raise refused(name[:60], "is no option that can be set here; leave it out")
        if not isinstance(value, str):
            raise refused(name, "must be the name of a workflow, as sd-models lists them")
        chosen = (await model_of(services.library, value)).name
    if chosen is not None:
        await services.chosen_models.choose(choice.caller, choice.named, chosen)
    return rendered(EmptyView())


async def _present(request: Request, model: str) -> OptionsView:
    """Return the options as they are. Previews are posted to requests that are held open."""
    has_previews = await streams_of(request) is not None
    return OptionsView(sd_model_checkpoint=model, live_previews_enable=has_previews)
