"""A router that says which services its routes call."""

from collections.abc import Sequence
from functools import cached_property
from typing import Generic, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from comfyq.edges.api.responses import EVERYWHERE

ServicesT = TypeVar("ServicesT", contravariant=True)


class Router(APIRouter, Generic[ServicesT]):
    """Routes over services of the type ``ServicesT``, a protocol in the router's own module.

    An application whose services lack one of them does not pass the type checker.
    """

    @cached_property
    def included(self) -> Sequence[BaseRoute]:
        """Include the routes once, for every application of the process.

        FastAPI makes new validators for each inclusion, which takes longer than ten requests.
        """
        parent = APIRouter(generate_unique_id_function=_operation_id)
        parent.include_router(self, responses=EVERYWHERE)
        return parent.routes


def _operation_id(route: APIRoute) -> str:
    """Name an operation after its router's tag and its function: ``batches_submit``."""
    return f"{route.tags[0]}_{route.name}".replace(" ", "_")
