"""Frames of the progress socket: those sent to the client, and those that it sends."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from comfyq.domain.job.shown_status import ShownStatus

MAX_TEXT = 8_000  # characters of a message or error, so that a frame stays far below 128 KB
JOB_ID = r"^[A-Za-z0-9_-]{1,100}$"


class ProgressFrame(BaseModel):
    """A job's state as its followers are told it."""

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
    queue_position: int | None = None  # estimated; 1 is the next


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
