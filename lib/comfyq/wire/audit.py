"""The audit log as administrators see it."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from comfyq.domain.audit import AuditAction, AuditEntry
from comfyq.wire.times import Time


class AuditEntryView(BaseModel):
    """Something that was done, or was about to be: an entry is written before the action."""

    at: Time
    who: str = Field(
        description="`key ID`, `subject NAME` of a token, `user NAME` of a machine, `owner` on "
        "loopback, `reaper`."
    )
    address: str | None = Field(description="The client's, as this server sees it, or the machine.")
    action: AuditAction
    subject: str = Field(description="Id of what it was done to.")
    details: Mapping[str, str]

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditEntryView":
        return cls(
            at=entry.at,
            who=entry.actor.who,
            address=entry.actor.address,
            action=entry.action,
            subject=entry.subject,
            details=entry.details,
        )


class AuditLog(BaseModel):
    """A page of the log, newest first."""

    entries: list[AuditEntryView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null: there is none.")

    @classmethod
    def of(cls, entries: Sequence[AuditEntry], next_cursor: str | None) -> "AuditLog":
        return cls(entries=[*map(AuditEntryView.of, entries)], next_cursor=next_cursor)
