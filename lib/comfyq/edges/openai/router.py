"""A router below ``/v1``, whose routes OpenAI describes: our own description has none."""

from enum import Enum
from typing import TypeVar

from comfyq.edges.api.router import PlannedRoute, Router
from comfyq.wire.openai.errors import API

ServicesT = TypeVar("ServicesT", contravariant=True)


class OpenAIRouter(Router[ServicesT]):
    """Like every router, but that it heeds no unknown query."""

    def __init__(self, *, prefix: str, tags: list[str | Enum]) -> None:
        super().__init__(prefix=f"{API}{prefix}", tags=tags)
        self.route_class = PlannedRoute
        self.include_in_schema = False
