"""How often a worker writes, reads and tells; every number in seconds."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    lease_s: float = 120  # a dead worker's job is claimable after that
    renew_s: float = 40
    watch_s: float = 0.5  # a job that was not written for that long is read: cancel, takeover
    store_progress_s: float = 1.0  # at most one write of progress in that time
    followers_s: float = 0.5  # for progress alone, the list of followers may be so old
    push_progress_s: float = 0.25  # at most one frame to each follower in that time
    let_go_s: float = 2  # the end of a job waits that long for ComfyUI to stop its prompt
    stop_s: float = 15  # ComfyUI may take that long to stop a prompt, longer if its steps do
    backoff_s: float = 0.2  # first pause when the table or storage does not answer; doubles
    backoff_most_s: float = 10
    upload_give_up_s: float = 900  # storage that refuses for that long fails the job
    resend_s: float = 30  # storage is asked that often whether it takes by now what it refused
    retry_s: float = 2  # first pause before a failed attempt is tried again; doubles
    unavailable_s: float = 5  # pause before a job is claimable again when ComfyUI did not answer

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_s)
