"""Authentication of requests: each route declares the scope that it needs, or that it needs none.

A route takes its caller as ``Reader``, ``TicketReader``, ``Submitter``, ``Retrier``, ``Canceler``,
``Administrator`` or ``Operator``; one that has no use for the caller lists ``needs(...)`` or
``ANYONE`` among its dependencies. One that lets everyone in, and tells those more whom it knows,
takes a ``KnownCaller``.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext
from fastapi.security import SecurityScopes

from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.errors import DomainError
from comfyq.edges.api.calling.scope import SERVICES
from comfyq.ports.access.authenticator import Authenticator, Credentials

TicketInQuery = Annotated[
    str | None,
    Query(
        max_length=200,
        description="One of `POST /ws-ticket`, instead of a key, where no header can be sent. It "
        "opens one stream.",
    ),
]


async def caller_of(request: Request, needed: SecurityScopes) -> Caller:
    """Return who sent the request, if it has every scope that the route needs."""
    authenticator: Authenticator = request.scope[SERVICES].authenticator
    caller = await authenticator.of_client(Credentials(request.headers, request.query_params))
    return _admitted(request, caller, needed)


async def ticketed(
    request: Request, needed: SecurityScopes, ticket: TicketInQuery = None
) -> Caller:
    """Return who sent the request, as ``caller_of`` does; a ticket in the query is used up by it if
    there is no key."""
    authenticator: Authenticator = request.scope[SERVICES].authenticator
    query = {} if ticket is None else {"ticket": ticket}
    caller = await authenticator.of_socket(Credentials(request.headers, query))
    return _admitted(request, caller, needed)


def _admitted(request: Request, caller: Caller, needed: SecurityScopes) -> Caller:
    for scope in needed.scopes:
        caller.require(Scope(scope))
    if request.client is not None:
        caller = replace(caller, address=request.client.host)
    request.state.caller = caller
    return caller


async def anyone() -> None:
    """Let everyone in."""


async def known_caller(request: Request) -> Caller | None:
    """Return who sent a request that needs no key; None: it shows none, or one that lets nobody
    in, or keys cannot be read now."""
    authenticator: Authenticator = request.scope[SERVICES].authenticator
    try:
        return await authenticator.of_client(Credentials(request.headers, request.query_params))
    except DomainError:
        return None


def needs(*scopes: Scope) -> Any:
    """Return the dependency that lets only callers with all of ``scopes`` in."""
    return Security(caller_of, scopes=scopes)


ANYONE = Depends(anyone)
KnownCaller = Annotated[Caller | None, Depends(known_caller)]

Submitter = Annotated[Caller, needs(Scope.SUBMIT)]
Retrier = Annotated[Caller, needs(Scope.SUBMIT, Scope.READ)]  # it is told how the job has ended
Reader = Annotated[Caller, needs(Scope.READ)]
TicketReader = Annotated[Caller, Security(ticketed, scopes=[Scope.READ])]
Canceler = Annotated[Caller, needs(Scope.CANCEL)]
Administrator = Annotated[Caller, needs(Scope.ADMIN)]
Operator = Annotated[Caller, needs(Scope.OPERATOR)]


def scopes_of(route: RouteContext) -> frozenset[Scope]:
    """Return the scopes that a route declares."""
    return frozenset(
        Scope(scope)
        for dependency in _dependencies(route)
        if dependency.call in (caller_of, ticketed)
        for scope in dependency.own_oauth_scopes or ()
    )


def is_open(route: RouteContext) -> bool:
    """Tell if a route declares that it lets everyone in."""
    return any(dependency.call is anyone for dependency in _dependencies(route))


def tells_known_more(route: RouteContext) -> bool:
    """Tell if a route lets everyone in, and tells those more whom it knows."""
    return any(dependency.call is known_caller for dependency in _dependencies(route))


def _dependencies(route: RouteContext) -> Iterator[Dependant]:
    """Walk through all that a route depends on; a route that is not an operation has nothing."""
    dependants: list[Dependant] = (
        [route.dependant] if isinstance(route.original_route, APIRoute) else []
    )
    while dependants:
        yield (dependant := dependants.pop())
        dependants += dependant.dependencies


def tenant_for(caller: Caller, asked: TenantId | None) -> TenantId:
    """Return the tenant that an administrator's request names, or its own.

    Raises:
        MissingScope: it is another one, and the caller is no operator.
    """
    if asked is None or asked == caller.tenant:
        return caller.tenant
    caller.require(Scope.OPERATOR)
    return asked
