"""``options``: what a server is set to. Nothing of it is changed by a client, for all others."""

from typing import Annotated, Protocol

from fastapi import Depends, Response

from comfyq.domain.caller import Scope
from comfyq.edges.a1111.counting import COUNTED_READERS, RateServices
from comfyq.edges.a1111.models import CHECKPOINT, DefaultModel, model_of
from comfyq.edges.a1111.refusals import refused
from comfyq.edges.a1111.router import A1111Router
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import require_json, services_of
from comfyq.edges.api.responses import rendered
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.wire.a1111.requests import Options
from comfyq.wire.a1111.views import EmptyView, OptionsView


class OptionServices(RateServices, Protocol):
    """The services that these routes call."""

    @property
    def library(self) -> WorkflowLibrary: ...


router = A1111Router[OptionServices]()


@router.get("/options", dependencies=[needs(Scope.READ)])
async def options(default: DefaultModel) -> Response:
    """What a request that names nothing else is made by."""
    return rendered(OptionsView(sd_model_checkpoint=default))


@router.post("/options", dependencies=[*COUNTED_READERS, Depends(require_json)])
async def set_options(
    body: Options,
    services: Annotated[OptionServices, Depends(services_of)],
    default: DefaultModel,
) -> Response:
    """Accept what is so anyway, and refuse what would have to be kept."""
    present = OptionsView(sd_model_checkpoint=default).model_dump()
    for name, value in (body.model_extra or {}).items():
        if name in present and value == present[name]:
            continue
        if name != CHECKPOINT:
            raise refused(name[:60], "is no option that can be set here; leave it out")
        if isinstance(value, str):
            await model_of(services.library, value)
        raise refused(
            name,
            f"stays {default} for this user: send the workflow's name as the user of HTTP Basic "
            f"(`NAME:KEY`), or with each request as override_settings.{CHECKPOINT}",
        )
    return rendered(EmptyView())
