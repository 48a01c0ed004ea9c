"""The limit on the jobs that clients of sockets name by frames.

Each job that a frame names is read and noted, so one small frame may cost as much as a hundred
requests. What frames name is counted in the memory of each process: a count in the table would cost
about as much as what it limits.
"""

from collections.abc import Callable
from time import monotonic

from comfyq.domain.caller import Caller, yours
from comfyq.domain.errors import RateLimited
from comfyq.domain.token_bucket import TokenBucket
from comfyq.services.limits.memory_buckets import REMEMBERED, MemoryBuckets, put_newest

SOCKET_JOBS = 6_000  # that frames of one socket name, a minute and at once
CLIENT_JOBS = 12_000  # those of all sockets of one key, subject of tokens, or tenant without these
BATCH_JOBS = 500  # that a batch counts as, since it may have so many


class FrameLimit:
    """Takes a token for each job that a frame names, from its socket's bucket and its client's."""

    def __init__(
        self,
        *,
        of_socket: int = SOCKET_JOBS,
        of_client: int = CLIENT_JOBS,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._of_socket = TokenBucket(of_socket)
        self._of_client = TokenBucket(of_client)
        self._buckets = MemoryBuckets(now_s=now_s)
        self._clients = dict[str, str]()  # by the id of the socket

    def belongs(self, socket: str, caller: Caller) -> None:
        """Note which client has opened a socket. Until then its frames count for the socket alone:
        where several processes serve sockets, each is told by the first frame that it gets."""
        put_newest(self._clients, socket, client_of(caller), most=REMEMBERED)

    def forget(self, socket: str) -> None:
        """Forget a socket that has ended. What its frames have used of its client's bucket stays
        used."""
        self._clients.pop(socket, None)
        self._buckets.forget(f"socket {socket}")

    def take(self, socket: str, jobs: int) -> None:
        """Count ``jobs`` that a frame names for its socket and its client, for both or none.

        Raises:
            RateLimited: one of them has named as many as it may for now; of both, it tells of the
                one that has to wait longer.
        """
        used = {f"socket {socket}": self._of_socket}
        if (client := self._clients.get(socket)) is not None:
            used[client] = self._of_client
        short = self._buckets.take(used, jobs)
        if short is not None:
            name, wait_s = short
            raise _refused(name.partition(" ")[0], used[name], jobs, wait_s=wait_s)


def client_of(caller: Caller) -> str:
    """Return the name of whom a caller's sockets count for."""
    if caller.key is not None:
        return f"key {caller.key}"
    if caller.subject is not None:
        return f"subject {caller.tenant} {caller.subject}"
    return f"tenant {caller.tenant}"


def _refused(of: str, bucket: TokenBucket, jobs: int, *, wait_s: int) -> RateLimited:
    whose = "this socket" if of == "socket" else f"all sockets of {yours(of)}"
    return RateLimited(
        f"frames of {whose} may name {bucket.size} jobs a minute, where a batch counts as "
        f"{BATCH_JOBS}; there is no room for {jobs} more yet; send this one again in {wait_s} s",
        retry_after_s=wait_s,
    )
