"""A router below ``/v2``, whose routes RunPod describes: our own description has none.

The first part of each path is the id of an endpoint there. Here it is any name: all are one.
"""

from typing import Annotated, TypeVar

from fastapi import Path

from comfyq.edges.api.router import PlannedRoute, Router
from comfyq.wire.runpod.errors import API

ServicesT = TypeVar("ServicesT", contravariant=True)

Endpoint = Annotated[str, Path(max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]


class RunPodRouter(Router[ServicesT]):
    """Like every router, but that it heeds no unknown query."""

    def __init__(self) -> None:
        super().__init__(prefix=f"{API}/{{endpoint}}", tags=["runpod"])
        self.route_class = PlannedRoute
        self.include_in_schema = False
