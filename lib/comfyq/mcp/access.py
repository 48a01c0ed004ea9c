"""Access to an MCP server that other machines reach, by keys of its comfyq server."""

from collections.abc import Callable
from typing import Protocol

from comfyq.mcp.api import Away


class Caller(Protocol):
    """Somebody at the server."""

    async def is_refused(self) -> bool:
        """Tell whether the server does not let them in; raises Away."""
        ...


class OpenServer(Away):
    """The server asks nobody for a key, so a bearer proves nothing."""

    def __init__(self) -> None:
        super().__init__(
            "the server of comfyq asks for no key, so nobody could be kept out here: start it with "
            "`--auth keys`, or serve MCP on 127.0.0.1"
        )


class Keys:
    """The keys and tokens that a server knows."""

    def __init__(self, caller: Callable[[str | None], Caller]) -> None:
        self._caller = caller  # who shows this key, or none

    async def knows(self, bearer: str) -> bool:
        """Return whether the server knows a bearer, as of now; raises OpenServer, Away."""
        await self.require_closed()
        return not await self._caller(bearer).is_refused()

    async def require_closed(self) -> None:
        """Raise OpenServer where the server lets in who shows nothing."""
        if not await self._caller(None).is_refused():
            raise OpenServer
