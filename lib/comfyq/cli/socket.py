"""The socket that tells a job's progress."""

import json
import time
from collections.abc import Mapping
from typing import Any

import websocket

from comfyq.client.errors import NotReached

CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1
QUIET_S = 10.0  # a socket that says nothing for so long is checked against the API
PING_S = 300.0  # API Gateway closes what was silent for 600 s
PREVIEWS = "previews=1"  # of the query with which a socket is opened


class SocketGone(NotReached):
    """There is no socket to be had, or no longer; another one may be."""


def connect(url: str, headers: Mapping[str, str]) -> None:
    """Open a socket and close it again; raises SocketGone."""
    _opened(url, headers).close(timeout=CLOSE_TIMEOUT_S)


class ProgressSocket:
    """Frames about one job. Raises SocketGone where it cannot be opened."""

    def __init__(
        self,
        url: str,
        job_id: str,
        *,
        headers: Mapping[str, str] | None = None,
        ping_s: float = PING_S,
        previews: bool = False,
    ) -> None:
        """``headers`` are sent with the handshake; with ``previews``, their frames come too."""
        self._job_id = job_id
        self._ping_s = ping_s
        if previews:
            url += ("&" if "?" in url else "?") + PREVIEWS
        self._socket = _opened(url, headers or {})
        self._said_at = time.monotonic()
        if job_id not in url:  # a WebSocket API as AWS has it; ours subscribes by itself
            self._say({"action": "subscribe", "job_id": job_id})

    def close(self) -> None:
        self._socket.close(timeout=CLOSE_TIMEOUT_S)
        # where the server closed first, `close` leaves it open
        self._socket.shutdown()  # type: ignore[no-untyped-call]

    def next(self, wait_s: float | None = None) -> dict[str, Any] | None:
        """The next progress frame, or None if none comes within ``wait_s``, or else ``QUIET_S``.

        Raises:
            SocketGone: the socket is closed, or will not tell of this job.
        """
        deadline = time.monotonic() + (QUIET_S if wait_s is None else wait_s)
        while (left_s := deadline - time.monotonic()) > 0:
            if time.monotonic() - self._said_at > self._ping_s:
                self._say({"action": "ping"})
            frame = self._received(left_s)
            if frame.get("type") == "error":
                raise SocketGone(str(frame.get("message")))
            is_told = "seq" in frame or frame.get("kind") == "preview"
            if frame.get("job_id") == self._job_id and is_told:
                return frame
        return None

    def _received(self, wait_s: float) -> dict[str, Any]:
        """Any frame; empty if none came."""
        self._socket.settimeout(wait_s)
        try:
            text = self._socket.recv()
        except websocket.WebSocketTimeoutException:
            return {}
        except (websocket.WebSocketException, OSError) as gone:
            raise SocketGone(str(gone)) from gone
        if not text:  # the close frame
            raise SocketGone("the server has closed the socket")
        return _object(text)

    def _say(self, frame: dict[str, str]) -> None:
        self._said_at = time.monotonic()
        try:
            self._socket.send(json.dumps(frame))
        except (websocket.WebSocketException, OSError) as gone:
            raise SocketGone(str(gone)) from gone


def _opened(url: str, headers: Mapping[str, str]) -> websocket.WebSocket:
    try:
        return websocket.create_connection(url, timeout=CONNECT_TIMEOUT_S, header=dict(headers))
    except (websocket.WebSocketException, OSError, ValueError) as refused:
        raise SocketGone(str(refused)) from refused


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
