"""A route's function and those that it depends on, with what each takes of a request.

FastAPI finds that out for each request, in more calls than most routes cost by themselves. Here it
is found out once, when the route is made.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args
from fastapi.security import SecurityScopes

from comfyq.edges.api.calling.json_body import read_body
from comfyq.edges.api.calling.parameters import Parameters, parameters_of

UNREAD = object()  # in the place of a body


@dataclass(slots=True)
class Given:
    """A request, and what was found for it."""

    request: Request
    body: Any = UNREAD
    response: Response | None = None  # whose headers and status those of an answer follow
    results: dict[Hashable, Any] = field(default_factory=dict)  # of dependencies
    wrong: list[Any] = field(default_factory=list)  # pydantic's errors

    def shared_response(self) -> Response:
        """Return what functions set headers and a status on."""
        if self.response is None:
            self.response = Response()
            del self.response.headers["content-length"]
            self.response.status_code = 0  # not said
        return self.response


@dataclass(frozen=True, slots=True)
class Call:
    """A function that is a coroutine: a route's, or a dependency's."""

    function: Callable[..., Awaitable[Any]]
    name: str | None  # of the argument that its result is
    key: Hashable  # those with the same are one, and called once a request
    needs: "Sequence[Call]"
    parameters: Sequence[Parameters]
    body: Sequence[Any]
    embed: bool  # the body's fields are in an object
    requests: Sequence[str]  # names of arguments that are the request
    responses: Sequence[str]
    fixed: dict[str, Any]

    async def arguments(self, given: Given) -> dict[str, Any]:
        """Return what the function is called with, as far as it is valid; the rest is noted."""
        values = self.fixed.copy()
        for need in self.needs:
            if await need.is_known(given) and need.name is not None:
                values[need.name] = given.results[need.key]
        for parameters in self.parameters:
            parameters.read(given.request, values, given.wrong)
        if self.body:
            # After what the function needs, as who sends it: of who may not, no body is read.
            if given.body is UNREAD:
                given.body = await read_body(given.request)
            read, wrong = await request_body_to_args(list(self.body), given.body, self.embed)
            values.update(read)
            given.wrong += wrong
        for name in self.requests:
            values[name] = given.request
        for name in self.responses:
            values[name] = given.shared_response()
        return values

    async def is_known(self, given: Given) -> bool:
        """Call a dependency, unless that was done; False: what it takes is not valid."""
        if self.key not in given.results:
            so_far = len(given.wrong)
            arguments = await self.arguments(given)
            if len(given.wrong) > so_far:
                return False
            given.results[self.key] = await self.function(**arguments)
        return True


def call_of(dependant: Dependant, *, embed: bool) -> Call:
    """Return the call that FastAPI has described.

    Raises:
        TypeError: the function is no coroutine, or wants what no route of ours needs.
    """
    function = dependant.call
    if function is None or not iscoroutinefunction(function):
        raise TypeError(f"{function} must be a coroutine: others are sent to a thread")
    if dependant.background_tasks_param_name or dependant.http_connection_param_name:
        raise TypeError(f"{function} may take a Request and a Response, but no other such object")
    scopes = [*(dependant.parent_oauth_scopes or ()), *(dependant.own_oauth_scopes or ())]
    fixed = {dependant.security_scopes_param_name: SecurityScopes(list(dict.fromkeys(scopes)))}
    return Call(
        function=function,
        name=dependant.name,
        key=(function, frozenset(scopes)) if dependant.use_cache else object(),
        needs=[call_of(each, embed=embed) for each in dependant.dependencies],
        parameters=parameters_of(dependant),
        body=dependant.body_params,
        embed=embed,
        requests=_named(dependant.request_param_name),
        responses=_named(dependant.response_param_name),
        fixed={name: value for name, value in fixed.items() if name is not None},
    )


def _named(name: str | None) -> Sequence[str]:
    return [] if name is None else [name]
