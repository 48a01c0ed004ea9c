"""A router below ``/sdapi/v1``, whose routes AUTOMATIC1111 describes: our own description has none.

Its clients send ``--api-auth``'s user and password, by HTTP Basic: here the password is the key.
Nowhere else is a key taken so, since browsers send it again by themselves.
"""

import binascii
from base64 import b64decode
from typing import TypeVar

from fastapi import Request
from starlette.types import Receive, Scope, Send

from comfyq.edges.api.router import PlannedRoute, Router
from comfyq.wire.a1111.errors import API

USER = "comfyq.a1111.user"  # of a request's scope: the user that it names
AUTHORIZATION, OWN_HEADER = b"authorization", b"x-api-key"
BASIC = b"basic "

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
    headers = dict(scope["headers"])
    sent = headers.get(AUTHORIZATION, b"")
    if sent[: len(BASIC)].lower() != BASIC or OWN_HEADER in headers:
        return
    try:
        user, _, password = b64decode(sent[len(BASIC) :].strip(), validate=True).partition(b":")
        scope[USER] = user.decode()
    except (binascii.Error, ValueError):
        return
    if password:
        others = [each for each in scope["headers"] if each[0] != AUTHORIZATION]
        scope["headers"] = [*others, (AUTHORIZATION, b"Bearer " + password)]
