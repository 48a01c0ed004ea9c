"""What passes through a progress socket: frames to the client, and the one that it sends."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobError, JobId, JobStatus
from comfyq.services.files.signed_links import SignedLinks

MAX_TEXT = 8_000  # characters of a message or error, so that a frame stays far below 128 KB
JOB_ID = r"^[A-Za-z0-9_-]{1,100}$"

FrameStatus = Literal["queued", "running", "completed", "failed", "canceled"]

STATUSES: Mapping[JobStatus, FrameStatus] = {
    JobStatus.QUEUED: "queued",
    JobStatus.RUNNING: "running",
    JobStatus.SUCCEEDED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELED: "canceled",
    JobStatus.EXPIRED: "failed",  # who waits for one of the documented ends must get one
}


class ProgressFrame(BaseModel):
    """A job's state as its followers are told it."""

    job_id: str
    status: FrameStatus
    progress: float = Field(ge=0, le=1)
    step: int
    max_steps: int
    message: str | None = None
    image_url: str | None = None  # of the first image, once completed
    error: str | None = None  # once failed
    error_code: str | None = None
    seq: (
        int  # the job's version; frames may overtake each other, and the older one is to be dropped
    )
    attempt: int  # progress never falls within an attempt


class ErrorFrame(BaseModel):
    """The answer to a frame that could not be obeyed."""

    type: Literal["error"] = "error"
    code: str
    job_id: str | None = None
    message: str


class PongFrame(BaseModel):
    type: Literal["pong"] = "pong"


class SubscribeFrame(BaseModel):
    """``{"action": "subscribe", "job_id": …}``"""

    model_config = ConfigDict(strict=True)

    action: Literal["subscribe"]
    job_id: str = Field(pattern=JOB_ID)


class PingFrame(BaseModel):
    """``{"action": "ping"}``, which keeps an idle socket open."""

    model_config = ConfigDict(strict=True)

    action: Literal["ping"]


def render(
    job: Job, outputs: Sequence[Output], base_url: str, *, links: SignedLinks, public_url: str
) -> bytes:
    """A job's frame; its link begins with ``base_url`` or, if that is empty, ``public_url``."""
    failure = failure_of(job)
    frame = ProgressFrame(
        job_id=job.id,
        status=STATUSES[job.status],
        progress=job.progress.fraction,
        step=job.progress.step,
        max_steps=job.progress.max_steps,
        message=_clipped(job.progress.message),
        image_url=_image_url(job.id, outputs, base_url or public_url, links),
        error=_clipped(error_text(failure)) if failure else None,
        error_code=failure.code if failure else None,
        seq=job.version,
        attempt=job.attempt,
    )
    return encode(frame)


def failure_of(job: Job) -> JobError | None:
    """Why the job failed; the error of an attempt that will be repeated is not the job's."""
    return job.error if STATUSES[job.status] == "failed" else None


def error_text(error: JobError) -> str:
    """Everything that is known of an error, for a person."""
    return "\n".join((error.message, *error.details))


def encode(frame: BaseModel) -> bytes:
    return frame.model_dump_json().encode()


def _image_url(
    job_id: JobId, outputs: Sequence[Output], base_url: str, links: SignedLinks
) -> str | None:
    for index, output in enumerate(outputs):
        if output.kind is OutputKind.IMAGE:
            return links.output(base_url, job_id, index)
    return None


def _clipped(text: str | None) -> str | None:
    return text if text is None or len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
