"""A client of one ``comfyq up``: over HTTP, and following jobs through sockets."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

DEADLINE_S = 30.0  # two cores may be shared with other tests
POLL_S = 0.02
CALL_S = 20.0
ENDS = frozenset({"completed", "failed", "canceled"})

Json = dict[str, Any]


def until(
    condition: Callable[[], bool],
    what: str,
    *,
    within_s: float = DEADLINE_S,
    otherwise: Callable[[], object] | None = None,
) -> float:
    """Wait for a condition; how many seconds that took. ``otherwise`` is asked, if it never holds,
    what there is instead."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            instead = "" if otherwise is None else f"; it is {otherwise()}"
            raise AssertionError(f"after {within_s:g} s still not: {what}{instead}")
        time.sleep(POLL_S)
    return time.monotonic() - began


class Follower:
    """The socket of one job, read beside the test until it is closed."""

    def __init__(self, url: str) -> None:
        self.frames: list[Json] = []
        self.ended_at: float | None = None  # monotonic, of the first frame that told the end
        self.close_code: int | None = None
        self._opened = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._read, args=[url], daemon=True)
        self._thread.start()
        assert self._opened.wait(CALL_S), f"{url} is not open"

    @property
    def is_open(self) -> bool:
        return self._thread.is_alive()

    def wait_end(self, *, within_s: float = DEADLINE_S) -> float:
        """Wait for the end; return when it was told."""
        until(lambda: self.ended_at is not None, "told of the end", within_s=within_s)
        self._thread.join(DEADLINE_S)
        assert self.ended_at is not None
        return self.ended_at

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._thread.join(DEADLINE_S)

    def _read(self, url: str) -> None:
        # A server that is away refuses the socket: it is never open, which its opener sees.
        with (
            suppress(InvalidHandshake, OSError),
            connect(url, open_timeout=CALL_S) as self._socket,
        ):
            self._opened.set()
            with suppress(ConnectionClosed):
                for text in self._socket:
                    self._note(json.loads(text))
            self.close_code = self._socket.close_code

    def _note(self, frame: Json) -> None:
        self.frames.append(frame)
        if self.ended_at is None and frame.get("status") in ENDS:
            self.ended_at = time.monotonic()


class Client:
    def __init__(self, url: str) -> None:
        self.url = url
        self._followers: dict[str, Follower] = {}

    def submit(self, workflow: str = "nap", **parameters: Any) -> str:
        """The id of a new job, which is followed from here on."""
        answer = requests.post(
            f"{self.url}/generate", json={"workflow": workflow, **parameters}, timeout=CALL_S
        )
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        socket_url = f"{self.url.replace('http', 'ws', 1)}/ws/progress/{job_id}"
        self._followers[job_id] = Follower(socket_url)
        return job_id

    def follower(self, job_id: str) -> Follower:
        return self._followers[job_id]

    def show(self, job_id: str) -> Json:
        return self._get(f"/generate/{job_id}")

    def story(self, job_id: str) -> Json:
        return self._get(f"/generate/{job_id}/story")

    def health(self) -> Json:
        answer = requests.get(f"{self.url}/health", timeout=CALL_S)
        body: Json = answer.json()
        return body

    def workers(self) -> list[Json]:
        """Return the live workers, as an administrator sees them."""
        found: list[Json] = self._get("/workers")["workers"]
        return found

    def cancel(self, job_id: str) -> tuple[int, Json]:
        answer = requests.delete(f"{self.url}/generate/{job_id}", timeout=CALL_S)
        return answer.status_code, answer.json()

    def download(self, url: str) -> bytes:
        answer = requests.get(url, timeout=CALL_S)
        assert answer.status_code == 200, f"{url}: {answer.status_code}"
        return answer.content

    def until(self, job_id: str, condition: Callable[[Json], bool], what: str) -> Json:
        """A job's view as soon as ``condition`` is true of it."""
        seen: Json = {}

        def holds() -> bool:
            seen.update(self.show(job_id))
            return condition(seen)

        until(holds, what, otherwise=lambda: seen)
        return seen

    def running(self, job_id: str) -> Json:
        return self.until(job_id, lambda job: job["status"] == "running", "running")

    def close(self) -> None:
        """End what is left, so that the next test has the queue to itself."""
        for job_id, follower in self._followers.items():
            if follower.ended_at is None:
                self.cancel(job_id)
            follower.close()

    def _get(self, path: str) -> Json:
        answer = requests.get(f"{self.url}{path}", timeout=CALL_S)
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body
