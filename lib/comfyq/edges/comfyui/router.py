"""A router of ComfyUI's own paths, which our own description leaves to ComfyUI's.

Each is served at the root, where most programs look for it, below ``/api``, where ComfyUI has it as
well, and both below ``/comfyui``, for a server that shall have a path of its own in an address.
"""

from typing import Any, TypeVar

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.types import Receive, Scope, Send

from comfyq.edges.api.router import PlannedRoute, Router
from comfyq.edges.comfyui.credentials import take_basic

ServicesT = TypeVar("ServicesT", contravariant=True)

BASE = "/{base:comfyui}"  # of every path, with its last slash


class BaseConvertor(StringConvertor):
    """Matches what may stand before a path of ComfyUI's, or nothing."""

    regex = "(?:comfyui/)?(?:api/)?"


register_url_convertor("comfyui", BaseConvertor())


class ComfyUIRoute(PlannedRoute):
    """Takes a key from where programs for ComfyUI can put it, too."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        take_basic(scope)
        await super().handle(scope, receive, send)


class ComfyUIRouter(Router[ServicesT]):
    """Like every router, but that it heeds no unknown query, as ComfyUI does."""

    def __init__(self, **options: Any) -> None:
        super().__init__(tags=["comfyui"], **options)
        self.route_class = ComfyUIRoute
        self.include_in_schema = False
