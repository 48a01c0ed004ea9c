"""The limit on the sockets and streams that a client opens, and on the tickets that it asks for to
open them.

Each writes an item, and the end of a socket deletes one: who only opens and closes them uses up
nothing else that is counted.
"""

from collections.abc import Callable
from time import monotonic

from comfyq.domain.caller import Caller, yours
from comfyq.domain.errors import RateLimited
from comfyq.domain.token_bucket import TokenBucket
from comfyq.services.limits.frame_limit import client_of
from comfyq.services.limits.memory_buckets import MemoryBuckets

MOST = 6_000  # a minute, and at once: a client may open one for each of 100 jobs a second


class ConnectLimit:
    """Takes a token of the key, the subject of tokens, or the tenant without these."""

    def __init__(self, *, most: int = MOST, now_s: Callable[[], float] = monotonic) -> None:
        self._bucket = TokenBucket(most)
        self._buckets = MemoryBuckets(now_s=now_s)

    def take_socket(self, caller: Caller) -> None:
        """Count a socket that a client opens; raises RateLimited if there are too many for now."""
        self._take(caller, "sockets")

    def take_stream(self, caller: Caller) -> None:
        """Count a stream that a client opens; raises RateLimited likewise."""
        self._take(caller, "streams")

    def take_ticket(self, caller: Caller) -> None:
        """Count a ticket that is made for a client; raises RateLimited likewise."""
        self._take(caller, "tickets")

    def _take(self, caller: Caller, what: str) -> None:
        client = client_of(caller)
        short = self._buckets.take({f"{what} {client}": self._bucket})
        if short is not None:
            wait_s = max(1, short[1])
            verb = "ask for" if what == "tickets" else "open"
            whose = yours(client.partition(" ")[0])
            raise RateLimited(
                f"{whose} may {verb} {self._bucket.size} {what} a minute, "
                f"and has no room for another yet; try again in {wait_s} s",
                retry_after_s=wait_s,
            )
