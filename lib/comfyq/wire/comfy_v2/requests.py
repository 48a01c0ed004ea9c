"""What clients of the Comfy API v2 send."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class JobRequest(BaseModel):
    """A graph to run. ``webhook_url`` and ``inputs`` are reserved by the contract: like all that is
    not known, they are refused."""

    model_config = ConfigDict(extra="forbid")

    workflow: dict[str, Any]
    extra_data: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
