from dataclasses import dataclass
from typing import NamedTuple

from comfyq.domain.caller import TenantId


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Where a job's webhooks go, and how the links in them begin."""

    url: str | None  # None: to what is the tenant's default when one is sent
    base_url: str = ""  # as the job was submitted to it; empty: the server's public URL
    sees_outputs: bool = True  # not if a client named it that may not read what jobs have made


class Receiver(NamedTuple):
    """Whom a tenant's webhooks go to."""

    tenant: TenantId
    origin: str | None  # scheme, host and port; None: whatever is the tenant's default


ANYBODY = WebhookTarget(None)  # of a job that has none of its own
