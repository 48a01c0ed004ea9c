"""A job's life, as a table (``model``) and the pure functions that apply it.

Rule 1: whatever decides a status lives in this package.
Rule 2: this package has no clock, no I/O and no randomness; callers pass ``now``.

Cancellation is a flag, not a status: a request can arrive while a worker holds the job, and the
status must still say what that worker is doing. A job with the flag always
ends ``canceled``, whatever else happens.

``attempt`` is the fencing token and nothing else. ``failures`` counts attempts that ended badly
after ComfyUI had started them, and alone meets ``max_attempts``. A claimed job stays ``queued``
until ComfyUI starts it. A worker that dies leaves ``started_attempt`` behind; the next attempt
either adopts what that one left in ComfyUI or forfeits it, which counts.
"""

from comfyq.domain.job.client_changes import (
    condemn,
    keep,
    refuse,
    request_cancel,
    reuse,
    ring,
    submitted,
)
from comfyq.domain.job.model import (
    ENGINE_LOST,
    INTERNAL,
    NO_ABLE_WORKER,
    STORAGE_REFUSED,
    TRANSITIONS,
    Job,
    JobError,
    JobId,
    JobStatus,
    Lease,
    Limits,
    Trigger,
    WorkerId,
)
from comfyq.domain.job.reaper_changes import (
    ANNOUNCE_FOR,
    DEADLINE_SLACK,
    announced,
    evict,
    reap,
    spare,
    unannounced,
)
from comfyq.domain.job.transitions import (
    ANNOUNCE_AFTER,
    LEASE_SLACK,
    RING_AFTER,
    RING_AGAIN,
    RING_ASIDE,
    RING_ASIDE_LONGEST,
    Change,
    due,
)
from comfyq.domain.job.worker_changes import (
    MAX_CLAIMS,
    adopt,
    advance,
    claim,
    confirm_cancel,
    count_loss,
    crash,
    ends_if_claimed,
    fail,
    forfeit,
    note_suited,
    pass_on,
    provision,
    recover,
    release,
    renew,
    set_aside,
    start,
    succeed,
)

__all__ = [
    "ANNOUNCE_AFTER",
    "ANNOUNCE_FOR",
    "DEADLINE_SLACK",
    "ENGINE_LOST",
    "INTERNAL",
    "LEASE_SLACK",
    "MAX_CLAIMS",
    "NO_ABLE_WORKER",
    "RING_AFTER",
    "RING_AGAIN",
    "RING_ASIDE",
    "RING_ASIDE_LONGEST",
    "STORAGE_REFUSED",
    "TRANSITIONS",
    "Change",
    "Job",
    "JobError",
    "JobId",
    "JobStatus",
    "Lease",
    "Limits",
    "Trigger",
    "WorkerId",
    "adopt",
    "advance",
    "announced",
    "claim",
    "condemn",
    "confirm_cancel",
    "count_loss",
    "crash",
    "due",
    "ends_if_claimed",
    "evict",
    "fail",
    "forfeit",
    "keep",
    "note_suited",
    "pass_on",
    "provision",
    "reap",
    "recover",
    "refuse",
    "release",
    "renew",
    "request_cancel",
    "reuse",
    "ring",
    "set_aside",
    "spare",
    "start",
    "submitted",
    "succeed",
    "unannounced",
]
