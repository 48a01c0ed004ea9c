"""Tenants as their administrators see them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from comfyq.domain.tenant import Tenant
from comfyq.services.operations.tenants import KeptFor
from comfyq.wire.times import Time

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


class DeletionStatus(StrEnum):
    """How far the deletion of a tenant's data is."""

    NONE = "none"  # nobody has asked for one
    RUNNING = "running"
    ENDED = "ended"


class DataView(BaseModel):
    """The data of a tenant, as far as it was asked to be deleted."""

    tenant: str
    status: DeletionStatus = Field(
        description="`running`: it is being deleted, and nothing new is stored meanwhile. `ended`: "
        "all that was there is deleted."
    )
    begun_at: Time | None
    ended_at: Time | None
    deleted: Mapping[str, int] = Field(
        description="How many things of each kind are deleted; at least so many, where it was cut "
        "off in between."
    )

    @classmethod
    def of(cls, tenant: Tenant) -> "DataView":
        deletion = tenant.deletion
        if deletion is None:
            none = DeletionStatus.NONE
            return cls(tenant=tenant.id, status=none, begun_at=None, ended_at=None, deleted={})
        has_ended = deletion.ended_at is not None
        return cls(
            tenant=tenant.id,
            status=DeletionStatus.ENDED if has_ended else DeletionStatus.RUNNING,
            begun_at=deletion.begun_at,
            ended_at=deletion.ended_at,
            deleted=deletion.deleted,
        )
