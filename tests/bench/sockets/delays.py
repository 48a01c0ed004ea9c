"""Delays of frames from the worker that posts them to the clients that follow."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import quantiles

POSTS = "COMFYQ_BENCH_POSTS"  # names the folder that posting processes write their notes into

State = tuple[str, int, float]  # of a job: its id, version and progress
Received = tuple[float, int, str]
"""When a frame came, by which of the sockets, and its text."""


def read_posts(folder: Path) -> Mapping[State, float]:
    """Return when each state of a job was first posted."""
    moments: dict[State, float] = {}
    for file in folder.glob("*.jsonl"):
        for line in file.read_text().splitlines():
            job_id, version, progress, moment = json.loads(line)
            state = (job_id, version, progress)
            moments[state] = min(moment, moments.get(state, moment))
    return moments


def delays_ms(
    posts: Mapping[State, float], frames: Iterable[Received]
) -> Iterator[tuple[float, float]]:
    """Yield when a frame came, and its delay.

    A socket's first frame shows the job as it is, and a state that it was told already is told
    again: neither says when the state was posted, nor does one of a job that waits.
    """
    told: set[tuple[int, State]] = set()
    begun: set[int] = set()
    for moment, socket, text in frames:
        frame = json.loads(text)
        if "seq" not in frame or frame["kind"] == "batch":
            continue
        state = (frame["job_id"], frame["seq"], frame["progress"])
        is_first, is_again = socket not in begun, (socket, state) in told
        begun.add(socket)
        told.add((socket, state))
        if not (is_first or is_again or frame["status"] == "queued") and state in posts:
            yield moment, (moment - posts[state]) * 1e3


def percentile(values: Sequence[float], share: int) -> float:
    return quantiles(values, n=100, method="inclusive")[share - 1]
