"""The settings of how often a worker writes, reads and reports."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from comfyq.ports.queue import MAX_HIDE_S

FIXED = {"settable": False}  # no setting of a user's


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Annotates a number with the values that have a meaning; the reader of settings refuses
    others."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None

    def has(self, value: float) -> bool:
        is_low = (self.ge is not None and value < self.ge) or (
            self.gt is not None and value <= self.gt
        )
        return not is_low and (self.le is None or value <= self.le)


Seconds = Annotated[float, Range(ge=0)]
Period = Annotated[float, Range(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Every number is in seconds; the text below a field is its description in the reference."""

    lease_s: Annotated[float, Range(gt=0, le=MAX_HIDE_S)] = 120
    """A worker that has not renewed its lease for that long has lost its job."""
    renew_s: Period = 40
    """Leases are renewed so often."""
    watch_s: Period = 0.5
    """A job that was not written for that long is read, to see a cancel or a takeover."""
    store_progress_s: Seconds = 1.0
    """Progress is stored at most so often."""
    push_progress_s: Seconds = 0.25
    """Progress is pushed to each follower at most so often."""
    retry_s: Seconds = 2
    """First pause before a failed attempt is tried again; it doubles with each failure."""
    upload_give_up_s: Seconds = 900
    """Storage that refuses results for that long fails the job."""
    resend_s: Period = 30
    """Results that storage refused are sent again so often."""
    stop_s: Seconds = 15
    """ComfyUI may take so long to stop a prompt, or longer if its steps do; then it hangs."""
    unavailable_s: Annotated[float, Range(ge=0, le=MAX_HIDE_S)] = 5
    """Pause before a job can be claimed again for which ComfyUI did not answer."""

    let_go_s: float = field(default=2, metadata=FIXED)
    """The end of a job waits that long for ComfyUI to stop its prompt."""
    followers_s: float = field(default=0.5, metadata=FIXED)
    """For progress alone, the list of followers may be so old."""
    preview_s: float = field(default=0.5, metadata=FIXED)
    """Previews of a running job are pushed at most so often."""
    backoff_s: float = field(default=0.2, metadata=FIXED)
    """First pause when the table or storage does not answer; it doubles each time."""
    backoff_most_s: float = field(default=10, metadata=FIXED)
    """The longest of these pauses."""

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_s)
