"""A router below ``/sdapi/v1``, whose routes AUTOMATIC1111 describes: our own description has none.

Its clients send ``--api-auth``'s user and password, by HTTP Basic: here the password is the key.
Nowhere else is a key taken so, since browsers send it again by themselves.
"""

from typing import TypeVar

from fastapi import Request
from starlette.types import Receive, Scope, Send

from comfyq.edges.api.calling.http_basic import basic_of, with_key
from comfyq.edges.api.router import PlannedRoute, Router
from comfyq.wire.a1111.errors import API

USER = "comfyq.a1111.user"  # of a request's scope: the user that it names
OWN_HEADER = b"x-api-key"

ServicesT = TypeVar("ServicesT", contravariant=True)


class A1111Route(PlannedRoute):
    """A route that takes a key as the password of HTTP Basic, too."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        read_basic(scope)
        await super().handle(scope, receive, send)


class A1111Router(Router[ServicesT]):
    """Like every router, but that it heeds no unknown query."""

    def __init__(self) -> None:
        super().__init__(prefix=API, tags=["a1111"])
        self.route_class = A1111Route
        self.include_in_schema = False


def user_of(request: Request) -> str | None:
    """Return the user that a request names by HTTP Basic."""
    user: str | None = request.scope.get(USER)
    return user


def read_basic(scope: Scope) -> None:
    """Put a password in the place where keys are looked for, and note its user; what is sent beside
    a key is a proxy's."""
    given = basic_of(scope["headers"])
    if given is None or any(name == OWN_HEADER for name, _ in scope["headers"]):
        return
    scope[USER] = given.user.decode(errors="replace")
    scope["headers"] = with_key(scope["headers"], given.password)
