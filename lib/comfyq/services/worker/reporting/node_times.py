"""How long each node of a run takes, by ComfyUI's reports."""

from collections.abc import Mapping

from comfyq.domain.job.progress import Advance


class NodeTimes:
    """Measure the nodes of one run, of which ComfyUI executes one after another; all times are of
    one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._taken_s: Mapping[str, float] = {}
        self._running: str | None = None
        self._since = 0.0

    def note(self, report: Advance, *, now: float) -> None:
        """Note one report, which may repeat what was reported before."""
        self._taken_s = self.taken_s(now=now)
        self._since = now
        if not report.done:
            self._running = report.node
        elif report.node == self._running:
            self._running = None

    def taken_s(self, *, now: float) -> Mapping[str, float]:
        """Return the time of each node that was seen to run; the others' results were there."""
        if self._running is None:
            return self._taken_s
        taken_s = self._taken_s.get(self._running, 0.0) + now - self._since
        return {**self._taken_s, self._running: taken_s}
