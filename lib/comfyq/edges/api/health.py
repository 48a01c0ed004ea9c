from fastapi import APIRouter

from comfyq.edges.api.dependencies import Services
from comfyq.wire.health import HealthView

router = APIRouter(tags=["health"])


@router.get("/health")
async def health(api: Services) -> HealthView:
    """Whether a job would run now. Always 200: `status` says how it is, `reason` says why."""
    return HealthView.of(await api.health.check(), version=api.version)
