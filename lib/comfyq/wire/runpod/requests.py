"""Requests to run a graph, as RunPod's API and worker-comfyui take them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MAX_IMAGES = 50


class ImageInput(BaseModel):
    """A picture that the graph loads by its name."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    image: str  # base64, or a data URI


class WorkerInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    workflow: dict[str, Any]
    images: list[ImageInput] | None = Field(None, max_length=MAX_IMAGES)


class RunRequest(BaseModel):
    """A request for a job; what would have an effect elsewhere and has none here is refused."""

    model_config = ConfigDict(extra="forbid")

    input: WorkerInput
    policy: dict[str, Any] | None = None  # without effect: a workflow's limits are the server's
