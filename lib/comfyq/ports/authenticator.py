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
    """Tells who a caller is and what it may do.

    Raises an error of the kind Forbidden from every method for whom it does not know, and of the
    kind Unavailable where what it depends on does not answer.
    """

    async def of_client(self, credentials: Credentials) -> Caller:
        """Return who sent a request or opened a socket."""
        ...

    async def of_queue(self, queue: str) -> Caller:
        """Return for whom requests are taken that come through a queue, or die in its dead-letter
        queue; ``queue`` is the name of either."""
        ...
