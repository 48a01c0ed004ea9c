"""Jobs and their events as the Comfy API v2 shows them: every field is there, null where unknown.

Clients of the contract refuse an answer that lacks a key, has a time without a zone, or a number
that is null where the contract has none.
"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from comfyq.wire.times import Time

Status = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled", "expired"]
OutputType = Literal["image", "video", "audio", "text", "file", "latent"]


class ProgressView(BaseModel):
    value: float = Field(ge=0, le=1)
    nodes_done: int
    nodes_total: int
    current_node: str | None
    current_node_class: str | None
    step: int | None
    steps: int | None
    message: str | None


class OutputView(BaseModel):
    node_id: str
    name: str
    type: OutputType
    content_type: str
    size_bytes: int
    id: str  # of the asset that it is
    hash: str | None  # blake3:HEX
    url: str  # absolute and signed: good without other credentials
    url_expires_at: Time
    job_id: str


class JobErrorView(BaseModel):
    code: str
    message: str
    node_id: str | None
    class_type: str | None
    traceback: str | None


class Metrics(BaseModel):
    queue_ms: int | None
    execution_ms: int | None


class JobUrls(BaseModel):
    """Links without scheme and host: a client sends its key to the origin that it was given, and
    that may be another name of this server than its own."""

    self: str
    events: str
    cancel: str


class JobView(BaseModel):
    id: str
    status: Status
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    expires_at: Time
    queue_position: int | None
    progress: ProgressView | None
    outputs: list[OutputView]
    error: JobErrorView | None
    metrics: Metrics
    metadata: dict[str, str]
    urls: JobUrls


class ListedJobView(BaseModel):
    """A job in a list, which is told less of."""

    id: str
    status: Status
    create_time: Time
    update_time: Time
    metadata: dict[str, str]


class JobListView(BaseModel):
    jobs: list[ListedJobView]
    next_cursor: str | None


class WorkflowView(BaseModel):
    """The graph that a job runs."""

    workflow: dict[str, Any]
    format: Literal["api"] = "api"


class StatusEvent(BaseModel):
    status: Status
    queue_position: int | None


class PreviewEvent(BaseModel):
    node_id: str
    content_type: str
    data_base64: str
