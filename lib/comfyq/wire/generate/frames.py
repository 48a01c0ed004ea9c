"""Frames of the progress socket: those sent to the client, and those that it sends."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from comfyq.domain.job.shown_status import ShownStatus
from comfyq.wire.generate.batch_counts import BatchCounts
from comfyq.wire.generate.provisioning import ProvisioningView

MAX_TEXT = 8_000  # characters of a message or error, so that a frame stays far below 128 KB
JOB_ID = r"^[A-Za-z0-9_-]{1,100}$"
MAX_JOBS = 100  # that one frame names
WAYS = 3  # to name what a frame is about
PREVIEW_BEGINS = '{"kind":"preview",'  # every frame with a preview, so that it is known unread


class ProgressFrame(BaseModel):
    """A job's state as its followers are told it."""

    kind: Literal["status", "progress"] = "status"  # progress: of a job that runs on
    job_id: str
    status: ShownStatus
    progress: float = Field(ge=0, le=1)
    step: int
    max_steps: int
    message: str | None = None
    image_url: str | None = None  # of the first image, once completed
    error: str | None = None  # once failed
    error_code: str | None = None
    seq: int  # the job's stored version: drop a frame older by (seq, progress) than the last one
    attempt: int  # progress never falls within an attempt
    simulated: bool = False  # by a simulator: no picture is real
    waits_for: str | None = None  # why a queued job does not begin
    queue_position: int | None = None  # of a queued job, estimated; 1 is the next
    eta_s: int | None = None  # seconds until it may have ended, estimated
    node: str | None = None  # id of the node that is executing
    node_class: str | None = None  # its class
    nodes_done: int = 0  # those whose results ComfyUI had already are done, too
    nodes_total: int = 0  # of its graph; 0 before a worker has begun it
    provisioning: ProvisioningView | None = None  # while its worker fetches models


class PreviewFrame(BaseModel):
    """A picture of what a node has so far, for who asked; it may be dropped, or be late."""

    kind: Literal["preview"] = "preview"
    job_id: str
    attempt: int
    node: str  # id of the node that makes it
    content_type: str  # image/jpeg
    width: int
    height: int
    data: str  # the picture in base64, 64,000 characters at most


class BatchFrame(BaseModel):
    """The state of a batch as its followers are told it: at most once a second, and at its end."""

    kind: Literal["batch"] = "batch"
    batch_id: str
    size: int  # requests
    done: bool  # nothing of it changes any more, until it is tried again
    progress: float = Field(ge=0, le=1)  # mean of its requests
    counts: BatchCounts  # requests in each state
    seq: int  # grows with each change: drop a frame with less than the last one, if not `done`


class ErrorFrame(BaseModel):
    """The answer to a frame that could not be obeyed."""

    type: Literal["error"] = "error"
    code: str
    job_id: str | None = None
    job_ids: list[str] | None = None  # of a frame that named several, and was refused as a whole
    batch_id: str | None = None
    message: str
    retry_after_s: int | None = None  # seconds after which the same frame may be sent again


class PongFrame(BaseModel):
    type: Literal["pong"] = "pong"


class UnsubscribedFrame(BaseModel):
    """The answer to an ``unsubscribe``. Frames that were under way may still come."""

    type: Literal["unsubscribed"] = "unsubscribed"
    job_ids: list[str] = []
    batch_id: str | None = None


class Named(BaseModel):
    """The jobs or the batch that a frame is about: one of the fields has to be there."""

    model_config = ConfigDict(strict=True)

    job_id: str | None = Field(None, pattern=JOB_ID)
    job_ids: Annotated[
        list[Annotated[str, Field(pattern=JOB_ID)]] | None,
        Field(min_length=1, max_length=MAX_JOBS),
    ] = None  # up to 100
    batch_id: str | None = Field(None, pattern=JOB_ID)

    @model_validator(mode="after")
    def _one_way(self) -> "Named":
        if [self.job_id, self.job_ids, self.batch_id].count(None) != WAYS - 1:
            raise ValueError("has either `job_id`, `job_ids` or `batch_id`")
        return self

    @property
    def named(self) -> Sequence[str]:
        """The ids of jobs, each once."""
        return list(dict.fromkeys(self.job_ids or ([self.job_id] if self.job_id else [])))


class SubscribeFrame(Named):
    """``{"action": "subscribe", "job_id": …}``, ``"job_ids": […]`` or ``"batch_id": …``."""

    action: Literal["subscribe"]
    since: int | Mapping[str, int] | None = None  # the `seq` that was seen, of several jobs by id
    previews: bool = False  # send pictures of what jobs make too, of a batch those of all its jobs

    def seen(self, target_id: str) -> int | None:
        """Return the version of a job or batch that the client has seen."""
        return self.since.get(target_id) if isinstance(self.since, Mapping) else self.since


class UnsubscribeFrame(Named):
    """``{"action": "unsubscribe", "job_id": …}``, ``"job_ids": […]`` or ``"batch_id": …``."""

    action: Literal["unsubscribe"]


class PingFrame(BaseModel):
    """``{"action": "ping"}``, which keeps an idle socket open."""

    model_config = ConfigDict(strict=True)

    action: Literal["ping"]
