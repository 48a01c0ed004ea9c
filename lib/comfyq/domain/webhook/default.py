from dataclasses import dataclass
from datetime import datetime

from comfyq.domain.webhook.events import ENDS, WebhookEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultWebhook:
    """Who is told of those jobs of a tenant whose requests name nobody."""

    url: str
    events: tuple[WebhookEvent, ...] = ENDS
    gone_at: datetime | None = None  # it answered 410 then, so nothing is sent to it any more
