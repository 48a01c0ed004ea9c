"""The time that a step may take, judged by the earlier steps of the same run."""

from comfyq.domain.job.progress import Advance
from comfyq.ports.engine import EngineEvent

TIMES_THE_SLOWEST = 3  # a step may take this many times the slowest earlier step of its node


class StepPace:
    """Track the pace of the running node; all times are of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._node: str | None = None
        self._step = self._max_steps = 0
        self._slowest_s: float | None = None  # of this node's steps; None before the first
        self._moved_at: float | None = None  # time of the last progress; None before any report

    def note(self, event: EngineEvent, *, now: float) -> None:
        """Note one report of ComfyUI, which may repeat what was reported before."""
        if self._moved_at is None:
            self._moved_at = now
        if not isinstance(event, Advance) or event.done:
            return
        if event.node != self._node:
            self._slowest_s = None
        elif event.step == self._step:
            return
        elif event.step > self._step:
            self._slowest_s = max(self._slowest_s or 0.0, now - self._moved_at)
        # Fewer steps than before: the node has begun another pass, as tiled samplers do.
        self._node, self._step, self._max_steps = event.node, event.step, event.max_steps
        self._moved_at = now

    def left_s(self, *, now: float, stall_s: float) -> float:
        """Return how much longer the step may take; negative if it is overdue.

        Before a node's first step and after its last, ``stall_s`` is allowed, which the workflow
        sets as the longest time without progress.
        """
        if self._moved_at is None:
            return stall_s
        allowed_s = stall_s
        if self._slowest_s is not None and self._step < self._max_steps:
            allowed_s = min(stall_s, TIMES_THE_SLOWEST * self._slowest_s)
        return allowed_s - (now - self._moved_at)
