"""What is told of a job's changes; a ring that nobody answers keeps none of them waiting."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from comfyq.domain.caller import TenantId
from comfyq.domain.job.progress import Progress
from comfyq.domain.webhook.events import WebhookEvent
from comfyq.domain.webhook_delivery import WebhookDelivery, delivery_of
from comfyq.ports.webhooks import WebhookKey
from comfyq.records.webhooks.outbox import WebhookOutbox
from tests.webhook_lab import WebhookLab

pytestmark = pytest.mark.anyio


class SilentDoorbell:
    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.may_answer = asyncio.Event()

    async def ring(
        self, keys: Sequence[WebhookKey], *, at: datetime, tenant: TenantId | None
    ) -> None:
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


class Doorbell:
    async def ring(
        self, keys: Sequence[WebhookKey], *, at: datetime, tenant: TenantId | None
    ) -> None: ...


async def test_progress_is_told_each_five_seconds_if_it_was_stored() -> None:
    lab, outbox = WebhookLab(), WebhookOutbox(Doorbell())
    before = await lab.start((await lab.job(WebhookEvent.PROGRESS)).id)
    after = await lab.advance(before.id, Progress(0.5, 1, 2, "KSampler"))

    def told() -> Sequence[WebhookDelivery]:
        return outbox.of_change(before, after, now=lab.clock.now())

    assert told(), "the write was refused, and is decided again"
    stored = told()
    await outbox.ring(stored)
    lab.clock.advance(4.9)
    assert not told()
    lab.clock.advance(0.1)
    await outbox.ring(told())
    lab.clock.advance(-3_600)  # it was set back
    assert told()
