"""A router that says which services its routes call."""

from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from enum import Enum
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from comfyq.domain.errors import FieldError, InvalidRequest
from comfyq.edges.api.rate_headers import count, rate_headers
from comfyq.edges.api.responses import EVERYWHERE

MAX_NAMED = 20  # unknown parameters that a refusal names
MAX_NAME_CHARS = 100

ServicesT = TypeVar("ServicesT", contravariant=True)


class UnknownQuery(InvalidRequest):
    """The query has parameters that the route does not know, and would not heed."""

    def __init__(self, unknown: Iterable[str], known: Collection[str]) -> None:
        hint = f"known: {', '.join(sorted(known))}" if known else "it takes none"
        fields = [
            FieldError(name[:MAX_NAME_CHARS], f"is no query parameter of this address; {hint}")
            for name in unknown
        ]
        message = "; ".join(f"{each.field}: {each.message}" for each in fields[:MAX_NAMED])
        super().__init__(message, fields[:MAX_NAMED])


class KnownQueryRoute(APIRoute):
    """A route that refuses query parameters that it does not know, and that says on its answers
    what is left to its caller if it may answer 429."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        known = frozenset(_query_names(self.dependant))

        async def handle_known(request: Request) -> Response:
            if request.scope["query_string"]:
                unknown = [name for name in request.query_params if name not in known]
                if unknown:
                    raise UnknownQuery(unknown, known)
            return await handle(request)

        async def handle_counted(request: Request) -> Response:
            count(request)
            response = await handle_known(request)
            response.headers.update(await rate_headers(request))
            return response

        return handle_counted if HTTPStatus.TOO_MANY_REQUESTS in self.responses else handle_known


def _query_names(dependant: Dependant) -> Iterator[str]:
    """Yield the names of the query parameters that a route and its dependencies declare."""
    for parameter in dependant.query_params:
        yield parameter.alias
    for each in dependant.dependencies:
        yield from _query_names(each)


class Router(APIRouter, Generic[ServicesT]):
    """Routes over services of the type ``ServicesT``, a protocol in the router's own module.

    An application whose services lack one of them does not pass the type checker.
    """

    def __init__(self, *, prefix: str = "", tags: list[str | Enum]) -> None:
        super().__init__(
            prefix=prefix,
            tags=tags,
            responses=EVERYWHERE,
            route_class=KnownQueryRoute,
            generate_unique_id_function=_operation_id,
        )


def _operation_id(route: APIRoute) -> str:
    """Name an operation after its router's tag and its function: ``batches_submit``."""
    return f"{route.tags[0]}_{route.name}".replace(" ", "_")
