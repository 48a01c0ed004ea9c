from collections.abc import Sequence
from datetime import datetime

from comfyq.domain.caller import TenantId
from comfyq.ports.webhooks import WebhookKey
from comfyq.services.operations.deadlines import Deadlines


class OwnWebhookDoorbell:
    """The doorbell of webhook deliveries on one machine: it wakes this process, which looks itself.

    A process beside it, such as a worker of its own, wakes nobody; the reaper finds what it stored.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines

    async def ring(
        self, keys: Sequence[WebhookKey], *, at: datetime, tenant: TenantId | None
    ) -> None:
        self._deadlines.note(at)
