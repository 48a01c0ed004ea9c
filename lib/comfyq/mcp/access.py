"""Access to an MCP server that other machines reach, by keys of its comfyq server."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from comfyq.mcp.api import Away

HOLDS_S = 3.0  # as long as the API itself believes that a key is not revoked
MOST = 1_000  # answers that are remembered


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
    """The keys and tokens that a server knows. An answer of it holds for some seconds: each request
    of MCP is asked about, and a client sends many."""

    def __init__(
        self,
        caller: Callable[[str | None], Caller],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caller = caller  # who shows this key, or none
        self._clock = clock
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()  # by hash: no key lies about

    async def knows(self, bearer: str) -> bool:
        """Return whether the server knows a bearer, as of seconds ago; raises OpenServer, Away."""
        await self.require_closed()
        return not await self._is_refused(bearer)

    async def require_closed(self) -> None:
        """Raise OpenServer where the server lets in who shows nothing."""
        if not await self._is_refused(None):
            raise OpenServer

    async def _is_refused(self, bearer: str | None) -> bool:
        shown = b"" if bearer is None else sha256(bearer.encode()).digest()
        now = self._clock()
        answer = self._answers.get(shown)
        if answer is None or now - answer.at > HOLDS_S:
            answer = _Answer(await self._caller(bearer).is_refused(), now)
            self._answers[shown] = answer
            self._answers.move_to_end(shown)
            while len(self._answers) > MOST:
                self._answers.popitem(last=False)
        return answer.is_refused


@dataclass(frozen=True, slots=True)
class _Answer:
    is_refused: bool
    at: float  # when it was asked for
