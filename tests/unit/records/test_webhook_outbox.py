"""A ring that nobody answers keeps no change of a job waiting."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from comfyq.domain.webhook.events import WebhookEvent
from comfyq.domain.webhook_delivery import delivery_of
from comfyq.ports.webhooks import DeliveryKey
from comfyq.records.webhooks.outbox import WebhookOutbox
from tests.webhook_lab import WebhookLab

pytestmark = pytest.mark.anyio


class SilentDoorbell:
    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.may_answer = asyncio.Event()

    async def ring(self, keys: Sequence[DeliveryKey], *, at: datetime) -> None:
        self.begun += 1
        await self.may_answer.wait()
        self.ended += 1


async def test_a_silent_doorbell_holds_no_change_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comfyq.records.webhooks.outbox.RING_S", 0.01)
    lab, doorbell = WebhookLab(), SilentDoorbell()
    outbox = WebhookOutbox(doorbell)
    job = await lab.job()
    told = [delivery_of(job, WebhookEvent.QUEUED, now=lab.clock.now())]
    async with asyncio.timeout(10):
        await outbox.ring(told)
        await outbox.ring(told)  # which does not even begin: the reaper rings
        assert (doorbell.begun, doorbell.ended) == (1, 0)
        doorbell.may_answer.set()
        while not doorbell.ended:  # it was not canceled  # noqa: ASYNC110
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        await outbox.ring(told)
    assert (doorbell.begun, doorbell.ended) == (2, 2)
