"""The sender of webhooks as a task beside the API; several processes may each run one."""

import asyncio

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.services.notify.due_webhooks import DueWebhooks
from comfyq.services.operations.deadlines import Deadlines

LONGEST_S = 3_600.0  # the reaper wakes it for what other processes have stored
PAUSE_S = 5.0  # after a failure of the table


async def send_for_ever(
    webhooks: DueWebhooks, deadlines: Deadlines, *, pause_s: float = PAUSE_S
) -> None:
    """Send webhooks whenever ``deadlines`` says that one is due, until canceled."""
    while True:
        deadlines.forget()
        try:
            next_at = await webhooks.send_due()
        except DomainError as away:
            log.warning("webhooks_not_sent", reason=str(away))
            await asyncio.sleep(pause_s)
            continue
        if next_at is not None:
            deadlines.note(next_at)
        await deadlines.wait(most_s=LONGEST_S)
