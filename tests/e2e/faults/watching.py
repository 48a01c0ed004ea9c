"""Clients that follow one job through connections which break: each goes on with the next one."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress

import requests
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from tests.e2e.faults.client import CALL_S, ENDS, Json, until

Enough = Callable[[Json], bool]


class Watch:
    """What a client makes of a job's frames, which it drops as docs/how-to/follow.md says."""

    def __init__(self, url: str, job_id: str) -> None:
        self.url = url
        self.job_id = job_id
        self.received: list[Json] = []
        self.kept: list[Json] = []
        self.connections = 0

    @property
    def seen(self) -> int:
        """The newest `seq`; 0 before the first frame."""
        return max((frame["seq"] for frame in self.kept), default=0)

    @property
    def end(self) -> str | None:
        ends = [frame["status"] for frame in self.kept if frame["status"] in ENDS]
        assert len(set(ends)) <= 1, ends
        return ends[0] if ends else None

    def read(self, enough: Enough) -> None:
        """Connect, if need be again, until a frame is ``enough``, or the end was told; then leave.

        A server that is away is waited for; a connection that breaks is made anew.
        """
        until(lambda: self._read_once(enough), f"{type(self).__name__} has read enough")

    def check(self) -> None:
        """Progress never goes back within an attempt, and an attempt never to an earlier one."""
        shown = [(frame["attempt"], frame["progress"]) for frame in self.kept]
        assert shown == sorted(shown), shown

    def frames(self) -> Iterator[Json]:
        """Connect and yield frames until the connection is over, in order or not."""
        raise NotImplementedError

    def _read_once(self, enough: Enough) -> bool:
        self.connections += 1
        for frame in self.frames():
            if self._keep(frame) and (enough(frame) or self.end is not None):
                return True
        return False

    def _keep(self, frame: Json) -> bool:
        if "seq" not in frame:
            return False
        self.received.append(frame)
        is_end = frame["status"] in ENDS
        newest = max((_age(each) for each in self.kept), default=(0, 0.0))
        if not is_end and (self.end is not None or _age(frame) < newest):
            return False
        self.kept.append(frame)
        return True


class SocketWatch(Watch):
    """By the job's own socket, /ws/progress/ID."""

    def frames(self) -> Iterator[Json]:
        address = f"{self.url.replace('http', 'ws', 1)}/ws/progress/{self.job_id}"
        with (
            suppress(InvalidHandshake, OSError, ConnectionClosed),
            connect(address, open_timeout=CALL_S) as socket,
        ):
            for text in socket:
                yield json.loads(text)


class SubscribedWatch(Watch):
    """By a frame on the socket that follows many jobs: nothing sorts what is posted to it."""

    def frames(self) -> Iterator[Json]:
        wish = {"action": "subscribe", "job_id": self.job_id, "since": self.seen}
        with (
            suppress(InvalidHandshake, OSError, ConnectionClosed),
            connect(f"{self.url.replace('http', 'ws', 1)}/local", open_timeout=CALL_S) as socket,
        ):
            socket.send(json.dumps(wish))
            for text in socket:
                yield json.loads(text)


class StreamWatch(Watch):
    """By server-sent events, with the id of the last one."""

    def frames(self) -> Iterator[Json]:
        address = f"{self.url}/generate/{self.job_id}/events"
        headers = {"Last-Event-ID": str(self.seen)} if self.seen else {}
        with (
            suppress(requests.RequestException),
            requests.get(address, headers=headers, stream=True, timeout=CALL_S) as answer,
        ):
            for line in answer.iter_lines():
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))


def watches(url: str, job_id: str) -> list[Watch]:
    """One of each kind."""
    return [kind(url, job_id) for kind in (SocketWatch, SubscribedWatch, StreamWatch)]


def _age(frame: Json) -> tuple[int, float]:
    return frame["seq"], frame["progress"]
