"""Tenants as their administrators see them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from comfyq.services.operations.tenants import KeptFor

SHORTEST_S = 60
LONGEST_S = 10 * 366 * 86_400


class TenantChange(BaseModel):
    """What is to hold for a tenant alone."""

    model_config = ConfigDict(extra="forbid")

    retention_s: Annotated[int, Field(ge=SHORTEST_S, le=LONGEST_S)] | None = Field(
        description="Ended jobs and files are kept for so many seconds, at most for "
        "`COMFYQ_RETENTION_S`; null: for as long as that."
    )


class TenantView(BaseModel):
    """A tenant."""

    tenant: str
    retention_s: int = Field(description="Ended jobs and files are kept for so many seconds.")
    retention_is_own: bool = Field(description="It is said of this tenant alone.")

    @classmethod
    def of(cls, kept: KeptFor) -> "TenantView":
        seconds = int(kept.time.total_seconds())
        return cls(tenant=kept.tenant, retention_s=seconds, retention_is_own=kept.own)
