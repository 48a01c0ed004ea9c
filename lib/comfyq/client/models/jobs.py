"""Jobs and batches."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from comfyq.client.messages import ENDS
from comfyq.client.models.reading import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(Model):
    """One file that a job made."""

    index: int = 0
    node: str = ""  # id of the node that made it
    filename: str = ""
    kind: str = ""  # image, video, audio, text, …
    content_type: str = ""
    size: int = 0  # bytes
    blake3: str = ""  # hex digest of the file
    url: str = ""  # signed; good for some days
    text: str | None = None  # a text output itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls(Model):
    """Links of a job or batch."""

    self: str = ""
    cancel: str = ""
    ws: str | None = None
    ws_subscribe: Mapping[str, str] | None = None
    events: str | None = None  # None: the server pushes no events over HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioning(Model):
    """How far the models that a job needs have come to its worker."""

    bytes: int = 0  # that are there
    total: int = 0
    eta_s: int | None = None  # seconds until all are there


@dataclass(frozen=True, slots=True, kw_only=True)
class JobData(Model):
    """A job as the server tells it; a newer one may tell statuses that are not listed here."""

    id: str = ""
    status: str = ""  # queued, running, completed, failed, canceled
    progress: float = 0.0  # from 0 to 1
    image_url: str | None = None  # of the first image
    error: str | None = None  # why it failed, readable
    error_code: str | None = None  # why it failed; stable
    workflow: str = ""
    title: str | None = None  # how its prompt begins
    labels: Mapping[str, str] = field(default_factory=dict)
    step: int = 0  # of the node that is executing
    max_steps: int = 0
    node: str | None = None  # id of the node that is executing
    node_class: str | None = None
    nodes_done: int = 0
    nodes_total: int = 0
    provisioning: Provisioning | None = None  # while its worker fetches models
    eta_s: int | None = None  # seconds until it may have ended
    queue_position: int | None = None  # among your own jobs: 1 is the next
    queue_position_above: int | None = None  # at least so many of your jobs are before it
    seq: int = 0  # grows with each change
    attempt: int = 0
    priority: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested: bool = False
    waits_for: str | None = None  # why a queued job does not begin
    seed: int | None = None
    warnings: Sequence[str] = ()
    outputs: Sequence[Output] = ()
    more_outputs: str | None = None  # `downloads` and `outputs` of the client follow it
    simulated: bool = False  # no picture is real
    retry_of: str | None = None
    reused_from: str | None = None
    urls: Urls = field(default_factory=Urls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Model):
    """One worker's try of a job."""

    number: int = 0
    worker: str = ""
    claimed_at: datetime | None = None
    started_at: datetime | None = None  # when ComfyUI began it, if it did
    ended_at: datetime | None = None  # None: it goes on
    verdict: str = ""  # succeeded, failed, canceled, released or lost
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story(JobData):
    """All that is known of a job."""

    parameters: Mapping[str, Any] = field(default_factory=dict)  # asking for them repeats it
    failures: int = 0
    running_attempt: Attempt | None = None
    attempts: Sequence[Attempt] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Model):
    """A job's state as its followers are told it."""

    kind: str = ""  # progress: of a job that runs on; else status
    job_id: str = ""
    status: str = ""
    progress: float = 0.0
    step: int = 0
    max_steps: int = 0
    message: str | None = None
    image_url: str | None = None
    error: str | None = None
    error_code: str | None = None
    seq: int = 0
    attempt: int = 0
    simulated: bool = False
    waits_for: str | None = None
    queue_position: int | None = None
    eta_s: int | None = None
    node: str | None = None
    node_class: str | None = None
    nodes_done: int = 0
    nodes_total: int = 0
    provisioning: Provisioning | None = None  # while its worker fetches models

    @property
    def ended(self) -> bool:
        """Tell whether it is the last one."""
        return self.status in ENDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview(Model):
    """A picture of what a node has so far."""

    kind: str = "preview"
    job_id: str = ""
    attempt: int = 0
    node: str = ""
    content_type: str = ""
    width: int = 0
    height: int = 0
    data: str = ""  # base64

    @property
    def content(self) -> bytes:
        """Return the picture itself."""
        return base64.b64decode(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Model):
    """A batch's requests by how far they have come."""

    queued: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    refused: int = 0  # never became jobs
    gone: int = 0  # deleted since


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalField(Model):
    """One bad field of a refused request."""

    field: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal(Model):
    """The refusal of a request of a batch."""

    code: str = ""
    detail: str = ""
    errors: Sequence[RefusalField] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemData(Model):
    """One request of a batch: its job, or why there is none."""

    index: int = 0
    original_index: int | None = None  # in the batch that was tried again
    job: JobData | None = None
    error: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriedBatch(Model):
    """The batch whose jobs are tried again."""

    batch_id: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchData(Model):
    """A batch as the server tells it."""

    batch_id: str = ""
    size: int = 0  # requests
    done: bool = False  # nothing of it changes any more
    progress: float = 0.0
    counts: Counts = field(default_factory=Counts)
    seq: int = 0
    created_at: datetime | None = None
    canceled: bool = False
    retry_of: RetriedBatch | None = None
    items: Sequence[ItemData] | None = None
    urls: Urls = field(default_factory=Urls)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEvent(Model):
    """A batch's state as its followers are told it."""

    kind: str = "batch"
    batch_id: str = ""
    size: int = 0
    done: bool = False
    progress: float = 0.0
    counts: Counts = field(default_factory=Counts)
    seq: int = 0
