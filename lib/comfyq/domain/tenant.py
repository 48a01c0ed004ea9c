"""Tenants, and what an operator has said of each that differs from the settings."""

from dataclasses import dataclass, field, fields

from comfyq.domain.caller import TenantId
from comfyq.domain.webhook.default import DefaultWebhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that a tenant may have; None: nothing is said of it."""

    requests_per_minute: int | None = None
    jobs_per_day: int | None = None  # a day of UTC
    waiting_jobs: int | None = None
    stored_bytes: int | None = None

    def over(self, others: "Limits") -> "Limits":
        """Return these limits, and where nothing is said, the others."""
        return Limits(
            **{
                each.name: getattr(others if getattr(self, each.name) is None else self, each.name)
                for each in fields(Limits)
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """What holds for one tenant alone; where nothing is said, the settings do."""

    id: TenantId
    limits: Limits = field(default_factory=Limits)
    retention_s: int | None = None  # its ended jobs and its files are kept for so long
    webhook: DefaultWebhook | None = None  # who is told of jobs whose requests name nobody
