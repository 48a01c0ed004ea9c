"""Tenants: what an operator has said of each that differs from the settings, and the deletion of
its data."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from comfyq.domain.caller import TenantId
from comfyq.domain.webhook.default import DefaultWebhook

MOST_RUNNING = 1_000  # jobs with workers that a limit may allow: they are listed in one item


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that a tenant may have; None: nothing is said of it."""

    requests_per_minute: int | None = None
    jobs_per_day: int | None = None  # a day of UTC
    waiting_jobs: int | None = None
    stored_bytes: int | None = None  # of files that were sent
    output_bytes: int | None = None  # only where a setting limits all
    running_jobs: int | None = None  # with workers; only where a setting limits all

    def over(self, others: "Limits") -> "Limits":
        """Return these limits, and where nothing is said, the others."""
        return Limits(
            **{
                each.name: getattr(others if getattr(self, each.name) is None else self, each.name)
                for each in fields(Limits)
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDeletion:
    """The deletion of all data of a tenant, as far as it has come."""

    begun_at: datetime
    due_at: datetime  # when the reaper goes on with it
    deleted: Mapping[str, int] = field(default_factory=dict)  # of each kind; at least so many
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """What holds for one tenant alone; where nothing is said, the settings do."""

    id: TenantId
    limits: Limits = field(default_factory=Limits)
    retention_s: int | None = None  # its ended jobs and its files are kept for so long
    webhook: DefaultWebhook | None = None  # who is told of jobs whose requests name nobody
    deletion: DataDeletion | None = None  # the last one; None: nobody has asked for one

    @property
    def is_being_deleted(self) -> bool:
        """Return whether its data is being deleted, so that it may store nothing new."""
        return self.deletion is not None and self.deletion.ended_at is None


def begin_deletion(tenant: Tenant, *, now: datetime) -> Tenant:
    """Begin to delete a tenant's data; one whose data is being deleted stays as it is."""
    if tenant.is_being_deleted:
        return tenant
    return replace(tenant, deletion=DataDeletion(begun_at=now, due_at=now))


def go_on_with_deletion(
    tenant: Tenant, *, begun_at: datetime, deleted: Mapping[str, int], due_at: datetime
) -> Tenant:
    """Note what was deleted by now, unless that deletion has ended meanwhile."""
    deletion = tenant.deletion
    if deletion is None or deletion.ended_at is not None or deletion.begun_at != begun_at:
        return tenant
    counts = Counter(deletion.deleted) + Counter(deleted)
    return replace(tenant, deletion=replace(deletion, deleted=dict(counts), due_at=due_at))


def end_deletion(tenant: Tenant, *, begun_at: datetime, now: datetime) -> Tenant:
    """Note that nothing is left, unless another deletion was begun meanwhile."""
    deletion = tenant.deletion
    if deletion is None or deletion.ended_at is not None or deletion.begun_at != begun_at:
        return tenant
    return replace(tenant, deletion=replace(deletion, ended_at=now))
