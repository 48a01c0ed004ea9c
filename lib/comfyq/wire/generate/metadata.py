"""Metadata of a job's outputs."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field


class Metadata(BaseModel):
    """Describes how a job's outputs were made; PNG files have the same in a text chunk `comfyq`."""

    job_id: str
    workflow: str
    parameters: Mapping[str, Any] = Field(description="Resolved, with the seed that was drawn.")
    models: list[str] = Field(description="The files that were loaded.")
    comfyq_version: str
    simulated: bool = Field(False, description="A simulator made them: no picture is real.")
    retry_of: str | None = Field(None, description="The job that this one tried again.")
    graph: Mapping[str, Any] | None = Field(None, description="A client's own graph.")
