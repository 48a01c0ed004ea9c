"""The secrets by which a tenant's webhooks are signed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

OVERLAP = timedelta(hours=24)  # of two secrets: receivers have so long to take the new one


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecrets:
    current: str
    earlier: str | None = None  # signs as well, until ``earlier_until``
    earlier_until: datetime | None = None

    def at(self, now: datetime) -> Sequence[str]:
        """Return those that sign now, the newest first."""
        if self.earlier is None or self.earlier_until is None or now >= self.earlier_until:
            return [self.current]
        return [self.current, self.earlier]

    def rotated(self, new: str, *, now: datetime) -> "WebhookSecrets":
        """Return the secrets with a new one; the one before signs beside it for OVERLAP."""
        return WebhookSecrets(current=new, earlier=self.current, earlier_until=now + OVERLAP)
