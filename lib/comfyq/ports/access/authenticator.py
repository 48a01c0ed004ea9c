from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from comfyq.domain.caller import Caller


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a request, or of a socket's handshake.

    Browsers cannot add headers to a handshake, so there the query string is all that it has.
    """

    headers: Mapping[str, str]  # names in lower case
    query: Mapping[str, str]


class Authenticator(Protocol):
    """Identify callers and their scopes.

    Every method raises an Unauthenticated error for unknown callers, and an Unavailable error if a
    service that it depends on does not answer.
    """

    @property
    def asks(self) -> bool:
        """Return whether clients have to show who they are."""
        ...

    async def of_client(self, credentials: Credentials) -> Caller:
        """Return who sent a request."""
        ...

    async def of_socket(self, credentials: Credentials) -> Caller:
        """Return who opens a socket or stream; a ticket in the query is used up by it."""
        ...

    async def of_queue(self, queue: str) -> Caller:
        """Return the caller as whom requests of a queue are submitted; ``queue`` is its name, or
        that of its dead-letter queue."""
        ...
