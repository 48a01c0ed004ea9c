"""Following a job to its end.

The socket is quick and the API is the truth: whatever the socket does (refused, dropped, deaf),
the job is asked for as well, so following ends when the job does.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from comfyq.cli.client import ApiClient, Json
from comfyq.cli.errors import NotReached
from comfyq.cli.socket import ProgressSocket, SocketGone

ENDS = frozenset({"completed", "failed", "canceled"})
FRAME_FIELDS = (
    *("status", "progress", "step", "max_steps"),
    *("image_url", "error", "error_code", "seq", "attempt", "simulated"),
    *("waits_for", "queue_position", "eta_s"),
    *("node", "node_class", "nodes_done", "nodes_total"),
)


Wait = tuple[str | None, int | None]  # the reason and the place of a queued job


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    quiet_s: float = 10  # a socket that says nothing for so long is checked against the API
    pause_s: float = 0.2  # before the socket is tried again; doubled up to
    longest_pause_s: float = 2
    give_up_s: float = 60  # without an answer of the server


def follow(
    client: ApiClient, job_id: str, *, pace: Pace | None = None, previews: bool = False
) -> Iterator[Json]:
    """The job's progress frames, each newer than the one before; the last one tells its end.

    With ``previews``, their frames come between them.

    Raises:
        Refused: there is no such job.
        NotReached: the server does not answer, or has not for ``give_up_s``.
    """
    return _Following(client, job_id, pace or Pace(), previews=previews).frames()


def has_ended(frame: Json) -> bool:
    """Of a frame, or of a job."""
    return frame["status"] in ENDS


class _Following:
    def __init__(self, client: ApiClient, job_id: str, pace: Pace, *, previews: bool) -> None:
        self._client = client
        self._job_id = job_id
        self._pace = pace
        self._previews = previews
        self._newest = (-1, 0.0)
        self._wait: Wait = (None, None)
        self._ended = False
        self._url = ""  # of the socket; the job tells it
        self._answered_at: float | None = None

    def frames(self) -> Iterator[Json]:
        pause_s = self._pace.pause_s
        while True:
            before = self._newest
            yield from self._polled()
            yield from self._pushed()
            if self._ended:
                return
            moved = self._newest != before
            pause_s = self._pace.pause_s if moved else min(pause_s * 2, self._pace.longest_pause_s)
            time.sleep(pause_s)

    def _polled(self) -> Iterator[Json]:
        job = self._ask()
        if job is not None:
            self._url = job["urls"]["ws"]
            named = {"kind": "status", "job_id": self._job_id, "message": None}
            yield from self._news(named | {field: job.get(field) for field in FRAME_FIELDS})

    def _pushed(self) -> Iterator[Json]:
        """Yield the frames of the socket until the job or the socket has ended."""
        if self._ended or not self._url:
            return
        try:
            with closing(self._socket()) as socket:
                while not self._ended:
                    frame = socket.next(self._pace.quiet_s)
                    yield from self._polled() if frame is None else self._news(frame)
        except SocketGone:
            return

    def _socket(self) -> ProgressSocket:
        headers = self._client.key_headers
        return ProgressSocket(self._url, self._job_id, headers=headers, previews=self._previews)

    def _news(self, frame: Json) -> Iterator[Json]:
        """The frame, unless it is older than the newest one, or says the same."""
        if frame.get("kind") == "preview":
            yield frame
            return
        position = (int(frame["seq"]), float(frame["progress"]))
        wait: Wait = (frame.get("waits_for"), frame.get("queue_position"))
        if position > self._newest or (position == self._newest and wait != self._wait):
            self._newest = position
            self._wait = wait
            self._ended = has_ended(frame)
            yield frame

    def _ask(self) -> Json | None:
        """The job; None while a server that has answered before does not."""
        try:
            job = self._client.job(self._job_id)
        except NotReached:
            answered_at = self._answered_at
            if answered_at is None or time.monotonic() - answered_at > self._pace.give_up_s:
                raise
            return None
        self._answered_at = time.monotonic()
        return job
