"""``/workers``: which workers there are, and what they do."""

from typing import Annotated, Protocol

from fastapi import Depends

from comfyq.edges.api.authentication import Operator
from comfyq.edges.api.dependencies import ClientLinks, services_of
from comfyq.edges.api.router import Router
from comfyq.services.operations.live_workers import LiveWorkers
from comfyq.wire.workers import WorkerList


class WorkerRouteServices(Protocol):
    """The services that this route calls."""

    @property
    def live_workers(self) -> LiveWorkers: ...


router = Router[WorkerRouteServices](prefix="/workers", tags=["workers"])


@router.get("")
async def listing(
    services: Annotated[WorkerRouteServices, Depends(services_of)],
    caller: Operator,
    links: ClientLinks,
) -> WorkerList:
    """Live workers: what each has loaded, which jobs it holds, and what is wrong with it."""
    return WorkerList.of(await services.live_workers.list(caller), job_url=links.job)
