"""A message that its queue gave up on: kept readable, and sent again on demand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from comfyq.domain.caller import TenantId


class Origin(StrEnum):
    """The queue that the message was sent to."""

    JOBS = "jobs"  # it is a doorbell
    SUBMISSIONS = "submissions"  # it is a request


class RedriveOutcome(StrEnum):
    """The outcome of handling a dead or submitted message."""

    RUNG = "rung"  # its job waits, and was sent a new doorbell
    HEARD = "heard"  # its job runs or has ended, so nothing is left to do
    GONE = "gone"  # it names no job that exists
    ACCEPTED = "accepted"  # the submission is a job that will run
    REFUSED = "refused"  # the submission is a failed job that says why


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    id: str  # the first that its queue gave it
    origin: Origin
    tenant: TenantId
    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    reason: str  # for a person
    buried_at: datetime
    redrives: int = 0  # how often it was sent again
