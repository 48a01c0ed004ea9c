"""The audit log: who did what to a tenant's keys, data and dead letters, when and from where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from comfyq.domain.caller import Caller, TenantId


class AuditAction(StrEnum):
    """What was done; the words are public."""

    KEY_CREATED = "key-created"
    KEY_REVOKED = "key-revoked"
    JOB_PURGED = "job-purged"
    FILE_DELETED = "file-deleted"
    BATCH_CANCELED = "batch-canceled"
    DEAD_LETTER_REDRIVEN = "dead-letter-redriven"
    LIMITS_CHANGED = "limits-changed"
    RETENTION_CHANGED = "retention-changed"
    DATA_DELETION_BEGUN = "data-deletion-begun"
    DATA_DELETED = "data-deleted"
    WEBHOOK_CHANGED = "webhook-changed"
    WEBHOOK_SECRET_SHOWN = "webhook-secret-shown"  # noqa: S105 - a word, no secret
    WEBHOOK_SECRET_ROTATED = "webhook-secret-rotated"  # noqa: S105 - a word, no secret


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where it is asked for, as far as that is seen."""

    who: str  # "key ID", "subject NAME" of a token, "user NAME" of a machine, "owner", "reaper"
    address: str | None = None  # of a client, or the name of the machine

    @classmethod
    def of(cls, caller: Caller) -> "Actor":
        return cls(caller.who, caller.address)


UNKNOWN = Actor("unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    tenant: TenantId
    at: datetime
    actor: Actor
    action: AuditAction
    subject: str  # id of what it was done to
    details: Mapping[str, str] = field(default_factory=dict)
