"""The status of a job by the name that clients and the log are told."""

from collections.abc import Mapping
from typing import Literal

from comfyq.domain.job import JobStatus

ShownStatus = Literal["queued", "running", "completed", "failed", "canceled"]

STATUSES: Mapping[JobStatus, ShownStatus] = {
    JobStatus.QUEUED: "queued",
    JobStatus.RUNNING: "running",
    JobStatus.SUCCEEDED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELED: "canceled",
    JobStatus.EXPIRED: "failed",  # who waits for one of the documented ends must get one
}
