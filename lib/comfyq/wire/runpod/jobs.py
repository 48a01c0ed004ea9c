"""Jobs as RunPod's API shows them, with the output of worker-comfyui; what is null is left out."""

from typing import Literal

from pydantic import BaseModel

Status = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"]


class ImageView(BaseModel):
    filename: str
    type: Literal["base64", "s3_url"]
    data: str  # the file as base64, or a signed URL


class OutputView(BaseModel):
    images: list[ImageView]
    status: Literal["success_no_images"] | None = None


class JobView(BaseModel):
    id: str
    status: Status
    delayTime: int | None = None  # milliseconds in the queue
    executionTime: int | None = None  # milliseconds of its run
    output: OutputView | None = None
    error: str | None = None


class JobCounts(BaseModel):
    """The caller's own jobs; those that have ended are not counted."""

    completed: int = 0
    failed: int = 0
    inProgress: int
    inQueue: int
    retried: int = 0


class WorkerCounts(BaseModel):
    idle: int
    initializing: int = 0
    ready: int
    running: int
    throttled: int = 0
    unhealthy: int


class HealthView(BaseModel):
    jobs: JobCounts
    workers: WorkerCounts
