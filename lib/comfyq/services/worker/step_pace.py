"""The time that a step may take, judged by the earlier steps of the same run."""

from comfyq.domain.job.progress import Advance
from comfyq.ports.engine import EngineEvent

TIMES_THE_SLOWEST = 3  # a step may take so many times as long as the slowest before it


class StepPace:
    """The pace of the node that runs; all times are of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._node: str | None = None
        self._step = self._max_steps = 0
        self._slowest_s: float | None = None  # step of this node; None: it has taken none
        self._moved_at: float | None = None  # None: nothing was heard of the run

    def heard(self, event: EngineEvent, *, now: float) -> None:
        """Note one report of ComfyUI, which may repeat what was reported before."""
        if self._moved_at is None:
            self._moved_at = now
        if not isinstance(event, Advance) or event.done:
            return
        if event.node != self._node:
            self._slowest_s = None
        elif event.step > self._step:
            self._slowest_s = max(self._slowest_s or 0.0, now - self._moved_at)
        else:
            return
        self._node, self._step, self._max_steps = event.node, event.step, event.max_steps
        self._moved_at = now

    def left_s(self, *, now: float, stall_s: float) -> float:
        """Return how much longer the step may take; negative if it is overdue.

        A node that has taken no step, or its last one, may take what the workflow allows between
        two signs of progress, ``stall_s``.
        """
        if self._moved_at is None:
            return stall_s
        allowed_s = stall_s
        if self._slowest_s is not None and self._step < self._max_steps:
            allowed_s = min(stall_s, TIMES_THE_SLOWEST * self._slowest_s)
        return allowed_s - (now - self._moved_at)
