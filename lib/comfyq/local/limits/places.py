"""Places for connections: so many in all, and so many for one client."""

import resource
from collections import Counter
from dataclasses import dataclass, field, replace

from comfyq.config import LocalSettings


@dataclass(slots=True, kw_only=True)
class Places:
    """The most connections at the same time, and those that are open."""

    total: int = 1_000
    each_client: int = 250
    taken: Counter[str] = field(default_factory=Counter)  # by the client's address

    def take(self, client: str) -> bool:
        """Take a place for a client, if one is free."""
        if self.taken.total() >= self.total or self.taken[client] >= self.each_client:
            return False
        self.taken[client] += 1
        return True

    def leave(self, client: str) -> None:
        """Give back a place that the client has taken."""
        self.taken[client] -= 1
        if self.taken[client] <= 0:
            del self.taken[client]


def affordable(local: LocalSettings) -> LocalSettings:
    """Return settings whose connections and sockets are at most half of the files that this
    process may open, shared as they were asked for; the other half is for everything else."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked = local.connections + local.sockets
    if files == resource.RLIM_INFINITY or asked <= files // 2:
        return local
    return replace(
        local,
        connections=max(1, local.connections * (files // 2) // asked),
        sockets=max(1, local.sockets * (files // 2) // asked),
    )
