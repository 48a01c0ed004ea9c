"""ComfyUI's answers over HTTP, and the one place where the errors of its calls are translated."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from comfyq.adapters.comfyui.answers import parsed, parsed_entries
from comfyq.adapters.comfyui.http.connection import BrokenOff, NoConnection
from comfyq.ports.engine import EngineError, EngineNotListening, EngineUnavailable

T = TypeVar("T")

NO_SUCH_ROUTE = (404, 405)


class BadReply(EngineUnavailable):
    """ComfyUI answers with a server error, or with what is not its JSON."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that ComfyUI gave, whatever its status."""

    status: int
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Parse the body; raises BadReply if it is no JSON, which ComfyUI would send."""
        return self._read(parsed)

    def entries(self) -> dict[str, Any]:
        """Parse a large body, in a thread; raises BadReply if it is no JSON object."""
        return self._read(parsed_entries)

    def _read(self, read: Callable[[bytes], T]) -> T:
        try:
            return read(self.content)
        except ValueError as error:
            raise BadReply(f"not an answer of ComfyUI: {self.text[:200]!r}") from error


def expect_ok(reply: Reply, path: str) -> None:
    """Raise BadReply for a server error or a missing route, EngineError for another refusal."""
    if reply.status in NO_SUCH_ROUTE:
        doubt = "is it a ComfyUI, and not too old a one?"
        raise BadReply(f"what answers there knows no {path} (status {reply.status}): {doubt}")
    if reply.status >= 500:
        raise BadReply(f"ComfyUI answers {reply.status} to {path}: {reply.text[:200]}")
    if reply.status != 200:
        raise EngineError(f"ComfyUI answers {reply.status} to {path}: {reply.text[:200]}")


class translated:
    """Translate errors of connections to EngineUnavailable; the only place that does."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, aiohttp.ClientError | OSError):  # TimeoutError is an OSError
            raised = EngineNotListening if _is_refused(error) else EngineUnavailable
            raise raised(f"ComfyUI does not answer to {self._doing}: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """Say what happened without the error's own words, which are of Python's objects."""
    if _is_refused(error):
        return "nothing listens at its address"
    match error:
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorError() | NoConnection():
            return "no connection to its address"
        case BrokenOff() | aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return "it broke off"
        case _:
            return f"the connection failed ({type(error).__name__})"


def _is_refused(error: Exception) -> bool:
    if isinstance(error, aiohttp.ClientConnectorError):
        return isinstance(error.os_error, ConnectionRefusedError)
    return isinstance(error, ConnectionRefusedError)
