"""Progress notifications of a tool's call, from the states of its job."""

from collections.abc import Awaitable, Callable

from comfyq.mcp.api import Json
from comfyq.mcp.content import doing

Send = Callable[[float, float, str], Awaitable[None]]  # progress, total, message

# A report has to be larger than the one before. Where a job's message alone has changed, or a new
# attempt has begun at 0, it is larger by this.
LEAST = 1e-6


class ProgressReports:
    """Reports what has changed of one job; progress never falls, whatever attempts it takes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._last = -LEAST
        self._told: tuple[float, str] | None = None

    async def tell(self, job: Json) -> None:
        """Report a state, unless it says nothing new."""
        now = (job["progress"], doing(job))
        if now == self._told:
            return
        self._told = now
        self._last = max(job["progress"], self._last + LEAST)
        await self._send(self._last, 1.0, now[1])
