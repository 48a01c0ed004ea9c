"""Rings of a queue: each succeeds or fails alone."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import pytest

from comfyq.adapters.fetching.poster import TOTAL_S
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.webhook.target import Receiver
from comfyq.domain.webhook_delivery import DeliveryState
from comfyq.edges.webhooks.handler import (
    SHARE,
    SPARED,
    TENANT_SHARE,
    TENANT_SPARED,
    WebhookHandler,
)
from comfyq.ports.webhooks import WebhookAnswer, WebhookKey, WebhookUnsent
from comfyq.records.webhooks.deliveries import key_of
from comfyq.services.notify.slow_receivers import SLOW, TENANT_TIME, SlowReceivers
from comfyq.services.notify.slow_receivers import SPARED as SPARED_FOR
from comfyq.testing.memory.clock import ManualClock
from tests.webhook_lab import URL, WebhookLab

pytestmark = pytest.mark.anyio

OTHER = "https://other.example/"
DELIVERED, PENDING = DeliveryState.DELIVERED, DeliveryState.PENDING


Heard = list[tuple[str, str]]


def handler(send: Callable[[WebhookKey], Awaitable[bool]], heard: Heard) -> WebhookHandler:
    """Return one that knows of no receiver, and notes in ``heard`` which frames it is to post."""

    async def unknown(job_id: JobId) -> Receiver | None:
        return None

    async def put_off(key: WebhookKey, *, until: datetime, why: str) -> None:
        raise AssertionError("nobody is known to be slow")

    async def tell_late(batch_id: BatchId, by: JobId) -> None:
        heard.append((batch_id, by))
        if batch_id == "away":
            raise TableUnavailable("away")

    return WebhookHandler(
        send=send,
        put_off=put_off,
        receiver_of=unknown,
        slow=SlowReceivers(clock=ManualClock()),
        tell_late=tell_late,
    )


def function_of(lab: WebhookLab) -> WebhookHandler:
    services = lab.services
    return WebhookHandler(
        send=services.webhook_sender.send,
        put_off=services.webhook_sender.put_off,
        receiver_of=services.due_webhooks.receiver_of,
        slow=SlowReceivers(clock=lab.clock),
        tell_late=services.batch_news.tell_late,
    )


async def test_one_that_hangs_has_a_few_places_and_then_none() -> None:
    """What is for it is put off, and rung for when it is due again."""
    lab, posting = WebhookLab(), 0
    most: Counter[str] = Counter()

    async def post(
        url: str, headers: Mapping[str, str], body: bytes, *, tenant: TenantId
    ) -> WebhookAnswer:
        nonlocal posting
        if url == OTHER:
            return WebhookAnswer(204)
        posting += 1
        most[url] = max(most[url], posting)
        for _ in range(100):  # of the loop: whoever may begin does
            await asyncio.sleep(0)
        posting -= 1
        lab.clock.advance(TOTAL_S)
        raise WebhookUnsent("no answer came within 5 s")

    answering = lab.receiver.post
    lab.receiver.post = post  # type: ignore[method-assign]
    hanging = [await lab.ended() for _ in range(10)]
    other = await lab.ended(url=OTHER)
    deliveries = [await lab.delivery(job) for job in [*hanging, other]]
    bodies = [json.dumps(key_of(each)._asdict()) for each in deliveries]
    records = [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]
    function = function_of(lab)
    assert await function.handle({"Records": records}) == {"batchItemFailures": []}
    assert most == {URL: SHARE}
    tried = [(await lab.delivery(job)).attempts for job in hanging]
    assert sorted(tried) == [0] * 7 + [1] * 3
    waiting = await lab.delivery(hanging[tried.index(0)])
    assert (waiting.is_pending, waiting.error) == (True, SPARED)
    assert waiting.due_at > lab.clock.now() + SLOW
    assert (await lab.delivery(other)).state is DeliveryState.DELIVERED
    lab.receiver.post = answering  # type: ignore[method-assign]
    await lab.send_all()
    assert {(await lab.delivery(job)).state for job in hanging} == {DeliveryState.DELIVERED}


async def test_a_tenant_all_of_whose_receivers_hang_leaves_functions_to_others() -> None:
    """Forty origins of one tenant hang, and two of it answer: of each half minute, they hold the
    function up for the time of one try."""
    lab, hanging = WebhookLab(), 0
    most = 0

    async def post(
        url: str, headers: Mapping[str, str], body: bytes, *, tenant: TenantId
    ) -> WebhookAnswer:
        nonlocal hanging, most
        if url.startswith(OTHER.rstrip("/")):
            return WebhookAnswer(204)
        hanging += 1
        most = max(most, hanging)
        began = lab.clock.now()
        for _ in range(100 * hanging):  # of the loop: whoever may begin does, as each one ends
            await asyncio.sleep(0)
        hanging -= 1
        lab.clock.set(max(lab.clock.now(), began + timedelta(seconds=TOTAL_S)))
        raise WebhookUnsent("no answer came within 5 s")

    lab.receiver.post = post  # type: ignore[method-assign]
    known = await lab.ended(url=OTHER)
    jobs = [await lab.ended(url=f"https://hanging.example:{8_000 + n}/") for n in range(40)]
    late = [await lab.ended(url=OTHER), await lab.ended(url=f"{OTHER[:-1]}:81/")]
    strange = await lab.ended(url=OTHER, tenant=TenantId("other"))
    function = function_of(lab)
    began = lab.clock.now()
    for batch in batches([known, *jobs, *late, strange]):
        records = [await ring_of(lab, job) for job in batch]
        assert await function.handle({"Records": records}) == {"batchItemFailures": []}
    assert (most, lab.clock.now() - began) == (TENANT_SHARE, timedelta(seconds=TOTAL_S))
    tried = [(await lab.delivery(job)).attempts for job in jobs]
    assert sorted(tried) == [0] * (40 - TENANT_SHARE) + [1] * TENANT_SHARE
    waiting = await lab.delivery(jobs[tried.index(0)])
    assert (waiting.error, waiting.due_at) == (TENANT_SPARED, lab.clock.now() + SPARED_FOR)
    states = [(await lab.delivery(job)).state for job in (known, *late, strange)]
    assert states == [DELIVERED, DELIVERED, PENDING, DELIVERED], "who is quick is known, or waits"
    lab.clock.advance(SPARED_FOR.total_seconds())
    await function.handle({"Records": [await ring_of(lab, late[1])]})
    assert (await lab.delivery(late[1])).state is DELIVERED


def batches(jobs: list[Job]) -> list[list[Job]]:
    return [jobs[at : at + 10] for at in range(0, len(jobs), 10)]


async def ring_of(lab: WebhookLab, job: Job) -> dict[str, str]:
    key = key_of(await lab.delivery(job))
    return {"messageId": f"m-{job.id}", "body": json.dumps(key._asdict())}


async def test_a_tenant_all_of_whose_receivers_are_slow_leaves_functions_to_others() -> None:
    """Each answers in 3.5 s, which is in time; another tenant's webhook is behind 120 of theirs."""
    lab, slow_s = WebhookLab(), 3.5

    async def post(
        url: str, headers: Mapping[str, str], body: bytes, *, tenant: TenantId
    ) -> WebhookAnswer:
        if url == OTHER:
            return WebhookAnswer(204)
        began = lab.clock.now()
        for _ in range(100):  # of the loop: whoever may begin does
            await asyncio.sleep(0)
        lab.clock.set(max(lab.clock.now(), began + timedelta(seconds=slow_s)))
        return WebhookAnswer(204)

    lab.receiver.post = post  # type: ignore[method-assign]
    jobs = [await lab.ended(url=f"https://slow.example:{8_000 + n}/") for n in range(120)]
    strange = await lab.ended(url=OTHER, tenant=TenantId("other"))
    function, began = function_of(lab), lab.clock.now()
    for batch in batches([*jobs, strange]):
        records = [await ring_of(lab, job) for job in batch]
        assert await function.handle({"Records": records}) == {"batchItemFailures": []}
    assert (await lab.delivery(strange)).state is DELIVERED
    taken_s = (lab.clock.now() - began).total_seconds()
    assert taken_s <= TENANT_TIME.total_seconds() / TENANT_SHARE + slow_s < len(jobs) / 10 * slow_s
    left = [job for job in jobs if (await lab.delivery(job)).is_pending]
    waiting = await lab.delivery(left[0])
    assert (waiting.error, waiting.attempts) == (TENANT_SPARED, 0)
    assert lab.clock.now() < waiting.due_at <= lab.clock.now() + SPARED_FOR

    rounds = 0
    while left:  # each half minute as much as before
        rounds, before = rounds + 1, len(left)
        lab.clock.advance(SPARED_FOR.total_seconds())
        for batch in batches(left):
            await function.handle({"Records": [await ring_of(lab, job) for job in batch]})
        left = [job for job in left if (await lab.delivery(job)).is_pending]
        assert before - len(left) >= TENANT_TIME.total_seconds() / slow_s - 1 or not left
    assert rounds > 1


async def test_only_rings_that_could_not_be_heard_come_again() -> None:
    heard: list[WebhookKey] = []

    async def send(key: WebhookKey) -> bool:
        heard.append(key)
        if key.job_id == "away":
            raise TableUnavailable("away")
        return key.job_id == "tried"

    bodies = [
        *(json.dumps({"job_id": each, "place": "1"}) for each in ("tried", "early", "away")),
        *(json.dumps({"job_id": "job", "batch_id": each}) for each in ("told", "away")),
        "no JSON",
        "[]",
        '{"job_id": "a"}',
    ]
    records = [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]
    frames: Heard = []
    answer = await handler(send, frames).handle({"Records": records})
    failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
    assert failed == ["m2", "m4"]
    assert WebhookKey(JobId("tried"), "1") in heard
    assert len(heard) == 3
    assert frames == [("told", "job"), ("away", "job")]
