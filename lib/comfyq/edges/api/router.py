"""A router that says which services its routes call."""

from collections.abc import Collection, Iterable, Iterator
from enum import Enum
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from comfyq.domain.errors import FieldError, InvalidRequest
from comfyq.edges.api.calling.route_app import RouteApp
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


class PlannedRoute(APIRoute):
    """A route whose functions are called by a plan that is made once; see ``calling``."""

    known: frozenset[str] | None = None  # query parameters; None: it heeds no others
    counts = False  # towards a limit, of which answers tell what is left

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._own_app = RouteApp(self)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell if a request is for this route; most are for another one."""
        if not scope.get("root_path") and self.path_regex.match(scope["path"]) is None:
            return Match.NONE, {}
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that matches; in FastAPI's place, which would find out anew what this
        route's functions take."""
        if scope["method"] not in (self.methods or ()):
            return await super().handle(scope, receive, send)
        request = Request(scope, receive, send)
        if self.counts:
            count(request)
        if self.known is not None and scope["query_string"]:
            unknown = [name for name in request.query_params if name not in self.known]
            if unknown:
                raise UnknownQuery(unknown, self.known)
        response = await self._own_app.answer(request)
        if self.counts:
            response.headers.update(await rate_headers(request))
        await response(scope, receive, send)
        return None


class KnownQueryRoute(PlannedRoute):
    """A route that refuses query parameters that it does not know, and that says on its answers
    what is left to its caller if it may answer 429."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.known = frozenset(_query_names(self.dependant))
        self.counts = HTTPStatus.TOO_MANY_REQUESTS in self.responses


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
