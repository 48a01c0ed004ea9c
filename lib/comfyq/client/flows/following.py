"""Following jobs and batches to their ends.

Events are pushed where the server serves them; where it does not, it is asked again and again.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from comfyq.client import calls
from comfyq.client.effects import Emit, Flow, each_emitted, work
from comfyq.client.errors import ApiError, NotReached, UnexpectedAnswer
from comfyq.client.messages import ENDS, Json, Request, json_of
from comfyq.client.sender import NO_PLACE, Deadline, Patience, Sender, next_of_stream, object_of
from comfyq.client.shapes import FRAME, fault_of

LOOK = Patience(pause_s=0.5, longest_pause_s=3)  # between two looks at what is not pushed
NOT_SERVED = 501
SEEN_ALL = 204
FRAME_FIELDS = (
    *("status", "progress", "step", "max_steps", "seq", "attempt", "simulated"),
    *("image_url", "error", "error_code", "waits_for", "queue_position", "eta_s"),
    *("node", "node_class", "nodes_done", "nodes_total", "provisioning"),
)
BATCH_FIELDS = ("batch_id", "size", "done", "progress", "counts", "seq")


def has_ended(job: Mapping[str, Any]) -> bool:
    """Tell whether a job, or its frame, says that it has ended; servers may learn new ends."""
    return job.get("status") in ENDS or job.get("ended_at") is not None


def ended_job(sender: Sender, job_id: str, deadline: Deadline) -> Flow[Json]:
    """Return a job once it has ended."""
    return (
        yield from _ended(
            sender,
            lambda wait_s: calls.job(job_id, wait_s=wait_s),
            has_ended,
            deadline,
            f"job {job_id} has not ended",
        )
    )


def done_batch(sender: Sender, batch_id: str, deadline: Deadline) -> Flow[Json]:
    """Return a batch once nothing of it goes on, with its items."""
    yield from _ended(
        sender,
        lambda wait_s: calls.batch(batch_id, wait_s=wait_s),
        lambda batch: bool(batch.get("done")),
        deadline,
        f"batch {batch_id} has not ended",
    )
    return (yield from sender.json(calls.batch(batch_id, items=True), deadline))


def _ended(
    sender: Sender,
    ask: Callable[[int], Request],
    is_end: Callable[[Json], bool],
    deadline: Deadline,
    waited_for: str,
) -> Flow[Json]:
    """Ask until the answer is the end; a server that can holds each answer back for a while."""
    pauses = LOOK.pauses()
    while True:
        wait_s = int(min(calls.MAX_HELD_S, deadline.left_s))
        request = ask(wait_s)
        answer = yield from sender.answer(request, deadline)
        state = object_of(answer, request.expects)
        if is_end(state):
            return state
        deadline.check(waited_for)
        if "preference-applied" not in answer.headers:
            yield from deadline.paused(next(pauses))


@dataclass(frozen=True, slots=True)
class Target:
    """A job or batch that is followed, with the requests that read its state and its frames."""

    name: str
    ask: Request
    events: Callable[[int], Request]  # from the `seq` that was seen on
    frame_of: Callable[[Json], Json]  # of its state
    is_end: Callable[[Json], bool]  # of a frame
    order: Callable[[Json], tuple[float, ...]]


def job_target(job_id: str, *, previews: bool) -> Target:
    named = {"kind": "status", "job_id": job_id, "message": None}
    return Target(
        name=f"job {job_id}",
        ask=calls.job(job_id),
        events=lambda seen: calls.job_events(job_id, seen=seen, previews=previews),
        frame_of=lambda job: (
            named | {each: job.get(each) for each in (*FRAME_FIELDS, "ended_at") if each in job}
        ),
        is_end=has_ended,
        order=lambda frame: (_number(frame, "seq"), _number(frame, "progress")),
    )


def batch_target(batch_id: str) -> Target:
    return Target(
        name=f"batch {batch_id}",
        ask=calls.batch(batch_id),
        events=lambda seen: calls.batch_events(batch_id, seen=seen),
        frame_of=lambda batch: {"kind": "batch"} | {each: batch.get(each) for each in BATCH_FIELDS},
        is_end=lambda frame: bool(frame.get("done")),
        order=lambda frame: (_number(frame, "seq"), _number(frame, "progress")),
    )


class Frames(Protocol):
    """Another source of frames than a server's streams. Opening and reading it may block, and
    raise NotReached."""

    def next(self) -> Json | None:
        """Return the next frame; None: for a while there was none."""
        ...

    def close(self) -> None: ...


Fallback = Callable[[Json], Frames]
"""The state of a target -> the source of its frames where the server has no stream for it."""


def frames(
    sender: Sender, target: Target, deadline: Deadline, *, fallback: Fallback | None = None
) -> Flow[None]:
    """Emit each frame that is newer than the one before; the last one tells the end.

    A stream that breaks is opened again where it broke, until the server has not answered for as
    long as the patience says.
    """
    yield from _Following(sender, target, deadline, fallback).run()


def job_frames(sender: Sender, job_id: str, *, previews: bool, deadline: Deadline) -> Flow[None]:
    """Emit each frame of a job as ``frames`` does, with the ended job beside the last one."""

    def with_job(frame: Json) -> Flow[None]:
        is_end = frame.get("kind") != "preview" and has_ended(frame)
        job = (yield from sender.json(calls.job(job_id), deadline)) if is_end else None
        yield Emit((frame, job))

    yield from each_emitted(
        frames(sender, job_target(job_id, previews=previews), deadline), with_job
    )


class _Following:
    def __init__(
        self, sender: Sender, target: Target, deadline: Deadline, fallback: Fallback | None
    ) -> None:
        self._sender = sender
        self._target = target
        self._deadline = deadline
        self._fallback = fallback
        self._newest: tuple[float, ...] = (-1.0,)
        self._waits: tuple[Any, ...] = ()  # of a queued job: why, and its place
        self._seen = 0
        self._told_by = target.name  # the URL of the stream, once there is one
        self._ended = False

    def run(self) -> Flow[None]:
        is_pushed = True
        pauses = LOOK.pauses()
        while not self._ended:
            before = self._newest
            if is_pushed:
                is_pushed = yield from self._pushed()
            if not self._ended:
                state = yield from self._asked()
                if not (self._ended or is_pushed or self._fallback is None):
                    yield from self._told(partial(self._fallback, state))
            if self._ended:
                return
            self._deadline.check(f"{self._target.name} has not ended")
            pauses = LOOK.pauses() if self._newest != before else pauses
            yield from self._deadline.paused(next(pauses))

    def _pushed(self) -> Flow[bool]:
        """Emit what is pushed, until the end or the stream's; return whether anything is."""
        request = self._target.events(self._seen)
        try:
            answer = yield from self._sender.opened(request, self._deadline, events=True)
        except ApiError as refused:
            if refused.status == NOT_SERVED or refused.code == NO_PLACE:
                return False
            raise
        if answer.status == SEEN_ALL:
            return True
        self._told_by = answer.url
        yield from self._read()
        return True

    def _read(self) -> Flow[None]:
        """Emit what the opened stream tells, until the end or the stream's."""
        try:
            while not self._ended and (data := (yield from next_of_stream())) is not None:
                if isinstance(frame := json_of(data), dict):
                    yield from self._news(frame)
                if not self._ended:
                    self._deadline.check(f"{self._target.name} has not ended")
        except UnexpectedAnswer:  # the next stream would tell the same
            raise
        except NotReached:  # it broke
            self._deadline.check(f"{self._target.name} has not ended")

    def _asked(self) -> Flow[Json]:
        state = yield from self._sender.json(self._target.ask, self._deadline)
        yield from self._news(self._target.frame_of(state))
        return state

    def _told(self, opened: Callable[[], Frames]) -> Flow[None]:
        """Emit what another source tells, until the end or the source's; ask while it is silent."""
        try:
            source = yield from work(opened)
        except NotReached:
            return
        try:
            while not self._ended:
                try:
                    frame = yield from work(source.next)
                except NotReached:  # it broke
                    return
                yield from self._asked() if frame is None else self._news(frame)
                if not self._ended:
                    self._deadline.check(f"{self._target.name} has not ended")
        finally:
            source.close()

    def _news(self, frame: Json) -> Flow[None]:
        """Emit a frame, unless it is older than the newest one, or says the same."""
        if frame.get("kind") == "preview":
            yield Emit(frame)
            return
        if "seq" not in frame:
            return  # of a kind that this client does not know
        if fault := fault_of(frame, FRAME):
            raise UnexpectedAnswer(self._told_by, fault)
        order = self._target.order(frame)
        waits = (frame.get("waits_for"), frame.get("queue_position"))
        is_end = self._target.is_end(frame)
        if order > self._newest or is_end or (order == self._newest and waits != self._waits):
            self._newest, self._waits, self._ended = order, waits, is_end
            self._seen = int(order[0])
            yield Emit(frame)


def _number(frame: Json, field: str) -> float:
    value = frame.get(field)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
