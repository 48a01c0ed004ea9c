"""Counting of requests that make no job: they read what may be large, so they count like a job."""

from typing import Annotated, Protocol

from fastapi import Depends

from comfyq.edges.api.authentication import Reader
from comfyq.edges.api.dependencies import services_of
from comfyq.services.limits.rate_limit import RateLimit


class RateServices(Protocol):
    """The services that counting needs."""

    @property
    def rate_limit(self) -> RateLimit: ...


async def count_reader(
    services: Annotated[RateServices, Depends(services_of)], caller: Reader
) -> None:
    """Count a request of a reader; raises RateLimited."""
    await services.rate_limit.acquire(caller)


COUNTED_READERS = [Depends(count_reader)]
