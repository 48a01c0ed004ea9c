"""``/metrics``: numbers for Prometheus."""

from typing import Annotated, Protocol

from fastapi import Depends, Header, Response
from fastapi.responses import PlainTextResponse

from comfyq.domain.caller import Scope
from comfyq.edges.api.authentication import needs
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.api.router import Router


class Measurements(Protocol):
    async def exposed(self, accept: str) -> tuple[bytes, str]:
        """Return all metrics, and their media type, in the format that ``accept`` wants."""
        ...


class MetricsServices(Protocol):
    """The services that this route calls."""

    @property
    def measurements(self) -> Measurements: ...


router = Router[MetricsServices](tags=["metrics"])


@router.get("/metrics", dependencies=[needs(Scope.METRICS)], response_class=PlainTextResponse)
async def show(
    services: Annotated[MetricsServices, Depends(services_of)],
    accept: Annotated[str, Header(description="Prometheus names the formats that it reads.")] = "",
) -> Response:
    """Show the metrics of the deployment and of this process in Prometheus' format."""
    content, media_type = await services.measurements.exposed(accept)
    return Response(content, media_type=media_type)
