"""Requests of the Comfy API v2."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

HASH = r"^blake3:[0-9a-f]{64}$"
PARTNER_KEY = r"^[!-~]{1,1000}$"
LEAST_S, MOST_S = 60, 604_800  # that a file may be asked to be kept for


class ExtraData(BaseModel):
    """What goes to ComfyUI beside the graph. Refusals of it do not repeat it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    api_key_comfy_org: str | None = Field(None, pattern=PARTNER_KEY, repr=False)


class JobRequest(BaseModel):
    """A graph to run. ``webhook_url`` and ``inputs`` are reserved by the contract: like all that is
    not known, they are refused."""

    model_config = ConfigDict(extra="forbid")

    workflow: dict[str, Any]
    extra_data: ExtraData | None = None
    metadata: dict[str, Any] | None = None


class HashRequest(BaseModel):
    """A file that the server may have already. Tags are for the sender's own order: unused."""

    model_config = ConfigDict(extra="forbid")

    hash: str  # blake3:HEX; no other text is the hash of a file
    file_path: str | None = None
    tags: list[str] | None = None
    expires_in: int | None = Field(None, ge=LEAST_S, le=MOST_S)
