"""The settings of webhooks."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from comfyq.config.lists import checked_exceptions
from comfyq.domain.files.fetch_exceptions import allowed_entries
from comfyq.domain.public_addresses import Allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    webhook_allow: Annotated[str, AfterValidator(checked_exceptions)] = ""
    """Hosts and networks, with commas, that webhooks may be sent to though they are not public;
    metadata services of clouds stay closed. Requests that name others are refused."""
    webhooks_queue_url: str | None = None
    """URL of the queue that rings the function which sends webhooks; unset: who serves the API
    sends them, and the reaper."""

    @property
    def allowed(self) -> Allowed:
        return Allowed.of(allowed_entries(self.webhook_allow))
