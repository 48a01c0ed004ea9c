"""The sender of webhooks as a task beside the API; several processes may each run one."""

import asyncio
from datetime import datetime, timedelta
from functools import partial

from comfyq.aio.logs import log
from comfyq.domain.errors import DomainError
from comfyq.ports.clock import Clock
from comfyq.ports.webhooks import DeliveryKey
from comfyq.services.notify.due_webhooks import AT_ONCE, DueWebhooks
from comfyq.services.operations.deadlines import Deadlines

LONGEST_S = 3_600.0  # the reaper wakes it for what other processes have stored
PAUSE = timedelta(seconds=5)  # after a failure of the table


class WebhookLoop:
    """Sends whenever ``deadlines`` says that something is due, up to AT_ONCE at the same time: a
    receiver that hangs delays none of the others."""

    def __init__(self, webhooks: DueWebhooks, deadlines: Deadlines, *, clock: Clock) -> None:
        self._webhooks = webhooks
        self._deadlines = deadlines
        self._clock = clock
        self._sending: set[DeliveryKey] = set()

    async def run(self) -> None:
        """Send until canceled; what is being sent then is sent again by a successor."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._deadlines.forget()
                next_at = await self._begin_due(group)
                if next_at is not None:
                    self._deadlines.note(next_at)
                await self._deadlines.wait(most_s=LONGEST_S)

    async def _begin_due(self, group: asyncio.TaskGroup) -> datetime | None:
        """Begin to send what is due, as far as there is room, and return when to look again."""
        try:
            outlook = await self._webhooks.look()
        except DomainError as away:
            log.warning("webhooks_not_sent", reason=str(away))
            return self._clock.now() + PAUSE
        waiting = [key for key in outlook.now if key not in self._sending]
        for key in waiting[: AT_ONCE - len(self._sending)]:
            self._sending.add(key)
            task = group.create_task(self._webhooks.send_one(key))
            task.add_done_callback(partial(self._ended, key))
        return outlook.next_at

    def _ended(self, key: DeliveryKey, task: asyncio.Task[bool]) -> None:
        """Look again if others may wait for the room; what failed has noted its next try."""
        was_full = len(self._sending) >= AT_ONCE
        self._sending.discard(key)
        if was_full and not task.cancelled():
            self._deadlines.note(self._clock.now())
