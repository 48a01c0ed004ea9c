from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from comfyq.domain.caller import TenantId
from comfyq.domain.files.sources import without_secrets
from comfyq.domain.job.progress import Progress
from comfyq.domain.webhook.events import WebhookEvent

JobId = NewType("JobId", str)
WorkerId = NewType("WorkerId", str)

STORAGE_REFUSED = "storage-refused"  # the error of a job whose results could not be stored
NO_ABLE_WORKER = "no-able-worker"  # the error of a job that no worker was able to run
ENGINE_LOST = "engine-lost"  # the error of an attempt in which ComfyUI ended or was restarted
INTERNAL = "internal"  # the error of an attempt that ended by a defect of comfyq itself

LOWEST_PRIORITY, NORMAL_PRIORITY, HIGHEST_PRIORITY = 0, 5, 9

MAX_REASON_CHARS = 2_000
MAX_DETAILS = 100
MAX_WARNINGS = 20
MAX_WARNING_CHARS = 300


class JobStatus(StrEnum):
    QUEUED = "queued"  # waits for a worker, or for ComfyUI to start it
    RUNNING = "running"  # ComfyUI has started it
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"  # never started in time

    @property
    def terminal(self) -> bool:
        return self not in _GOING_ON


class Trigger(StrEnum):
    RING = "ring"
    CLAIM = "claim"
    RENEW = "renew"
    ADOPT = "adopt"
    START = "start"
    ADVANCE = "advance"
    FORFEIT = "forfeit"
    COUNT_LOSS = "count_loss"
    RELEASE = "release"
    SET_ASIDE = "set_aside"
    RETRY = "retry"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    EXPIRE = "expire"
    REUSE = "reuse"


_QUEUED, _RUNNING = JobStatus.QUEUED, JobStatus.RUNNING

TRANSITIONS = {
    (_QUEUED, Trigger.RING): _QUEUED,
    (_QUEUED, Trigger.CLAIM): _QUEUED,
    (_QUEUED, Trigger.RENEW): _QUEUED,
    (_QUEUED, Trigger.ADOPT): _QUEUED,
    (_QUEUED, Trigger.FORFEIT): _QUEUED,
    (_QUEUED, Trigger.COUNT_LOSS): _QUEUED,
    (_QUEUED, Trigger.START): _RUNNING,
    (_QUEUED, Trigger.RELEASE): _QUEUED,
    (_QUEUED, Trigger.SET_ASIDE): _QUEUED,
    (_QUEUED, Trigger.RETRY): _QUEUED,
    (_QUEUED, Trigger.FAIL): JobStatus.FAILED,
    (_QUEUED, Trigger.CANCEL): JobStatus.CANCELED,
    (_QUEUED, Trigger.EXPIRE): JobStatus.EXPIRED,
    (_QUEUED, Trigger.REUSE): JobStatus.SUCCEEDED,  # it has the results of an earlier job
    (_RUNNING, Trigger.CLAIM): _QUEUED,  # takes over a lapsed lease
    (_RUNNING, Trigger.RENEW): _RUNNING,
    (_RUNNING, Trigger.ADVANCE): _RUNNING,
    (_RUNNING, Trigger.COUNT_LOSS): _RUNNING,  # of an attempt before this one
    (_RUNNING, Trigger.RELEASE): _QUEUED,
    (_RUNNING, Trigger.RETRY): _QUEUED,
    (_RUNNING, Trigger.SUCCEED): JobStatus.SUCCEEDED,
    (_RUNNING, Trigger.FAIL): JobStatus.FAILED,
    (_RUNNING, Trigger.CANCEL): JobStatus.CANCELED,
}

_GOING_ON = frozenset(status for status, _ in TRANSITIONS)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one job until ``expires_at``."""

    worker: WorkerId
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class JobError:
    """The reason for which a job failed, for the client."""

    code: str  # stable: "node-error", "invalid-graph", "out-of-memory", "deadline" …
    message: str
    node: str | None = None  # id of the node that caused it, if one did
    details: tuple[str, ...] = ()  # one line each: field, class, the names that exist

    @property
    def shortened(self) -> "JobError":
        """The error within the size that a stored job has room for."""
        details = tuple(shortened(line) for line in self.details[:MAX_DETAILS])
        node = None if self.node is None else shortened(self.node)
        return JobError(self.code, shortened(self.message), node, details)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a job's waiting and running, fixed when it is submitted."""

    queue_timeout_s: int = 86_400  # from submission to the first start; then it expires
    run_timeout_s: int = 3_600  # of one attempt, from start to end
    stall_s: int = 300  # without a sign of progress
    max_attempts: int = 3  # failures that end the job
    unsuited_timeout_s: int = 21_600  # without a worker that is able to run it; then it fails

    @property
    def longest(self) -> timedelta:
        """Return how long after its submission a job may need its files: each of its attempts
        waits and runs for as long as it may."""
        return self.max_attempts * timedelta(seconds=self.queue_timeout_s + self.run_timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: JobId
    tenant: TenantId
    workflow: str
    seed: int | None = None  # as given or drawn, if the workflow has one
    title: str | None = None  # how its prompt begins
    labels: Mapping[str, str] = field(default_factory=dict)  # what its client finds it by
    webhook_events: tuple[WebhookEvent, ...] = ()  # that a webhook is told of
    family: str = "any"  # models it needs, as one word: jobs of a family share loaded models
    created_at: datetime
    priority: int = NORMAL_PRIORITY  # among the jobs of its tenant
    limits: Limits = field(default_factory=Limits)
    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0  # claims so far; the fencing token of the current one
    started_attempt: int = 0  # the attempt that ComfyUI started and that has no verdict yet
    settled_attempt: int = 0  # the newest attempt with a verdict; later ones may be adopted
    adopted_attempt: int = 0  # the attempt whose prompt the holder has adopted; 0: none
    failures: int = 0
    passes: int = 0  # times that a worker passed it on because its ComfyUI could not run it
    unsuited_since: datetime | None = None  # set aside, for a worker that is able to run it
    is_suited: bool = False  # such a worker has been seen since: it only has to have room
    lease: Lease | None = None
    not_before: datetime | None = None  # a retry waits until then
    cancel_requested: bool = False
    progress: Progress = field(default_factory=Progress)
    started_at: datetime | None = None  # of the current or last attempt
    ended_at: datetime | None = None
    error: JobError | None = None  # why it failed, or why its last attempt did
    warnings: tuple[str, ...] = ()  # what its results lost
    note: str | None = None  # why its last attempt was given back
    claimed_at: datetime | None = None  # by the holder
    rung_at: datetime | None = None  # when a doorbell was last known to be sent
    end_pending: bool = False  # the end is stored but not yet announced
    simulated: bool = False  # a simulator, not a real ComfyUI, makes or made its results
    reused_from: JobId | None = None  # the job that made its results
    retry_of: JobId | None = None  # the job whose work it does again
    kept_until: datetime | None = None  # jobs that reuse its results need them until then
    barred_until: datetime | None = None  # condemned: no other job of its id is made until then
    link_key: str | None = None  # signs the links to its outputs, and to no other job's
    partner_seal: str | None = field(default=None, repr=False)  # opens its key of partner nodes
    trace: str | None = None  # W3C's traceparent of what submitted it, if that is traced
    due_at: datetime  # when the reaper must next check it
    version: int = 1  # grows by one on every write; the table compares it

    @property
    def is_aside(self) -> bool:
        """Return whether the job waits for a worker that is able to run it. Workers find it without
        a doorbell; the reaper sends one after ten minutes or more, and then ever more seldom."""
        return self.unsuited_since is not None and self.lease is None

    @property
    def unsettled(self) -> bool:
        """Return whether ComfyUI started an earlier attempt that was then lost with its worker."""
        return 0 < self.started_attempt < self.attempt


def shortened(reason: str) -> str:
    """A reason within MAX_REASON_CHARS, without secrets of URLs, and without lone surrogates, which
    no store keeps."""
    text = without_secrets(reason).encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_REASON_CHARS else text[: MAX_REASON_CHARS - 1] + "…"
