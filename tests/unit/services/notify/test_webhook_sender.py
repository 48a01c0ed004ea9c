"""Webhooks from the change of a job to their arrival, whoever dies in between."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobError
from comfyq.domain.job.progress import Progress
from comfyq.domain.webhook.default import DefaultWebhook
from comfyq.domain.webhook.events import EVENTS, WebhookEvent
from comfyq.domain.webhook_delivery import (
    LEASE,
    WINDOW,
    Attempted,
    DeliveryState,
    claimed,
    settled,
)
from comfyq.ports.webhooks import WebhookAnswer, WebhookUnsent
from comfyq.records.webhooks.deliveries import key_of
from comfyq.services.notify.due_webhooks import SHARE
from tests.api_lab import output
from tests.webhook_lab import PUBLIC_URL, URL, Killed, WebhookLab

pytestmark = pytest.mark.anyio

MOST_STEPS = 100  # that a sender takes, before and after each call


def told(lab: WebhookLab) -> list[str]:
    return [json.loads(each.body)["type"] for each in lab.receiver.posts]


async def test_an_end_is_told_once_with_the_job_as_it_is_shown() -> None:
    lab = WebhookLab()
    job = await lab.job()
    job = await lab.succeed(job.id, output())
    await lab.send()
    await lab.send()
    [posted] = lab.receiver.posts
    body = json.loads(posted.body)
    assert (posted.url, body["type"]) == (URL, "job.completed")
    assert body["timestamp"] == "2026-01-01T00:00:00.000Z"
    assert body["data"]["id"] == job.id
    assert body["data"]["outputs"][0]["url"].startswith(
        f"{PUBLIC_URL}/generate/{job.id}/outputs/0?"
    )
    assert posted.id == f"msg_{job.id}_{job.version}"
    assert "." not in posted.id, "it separates what is signed"
    assert (await lab.delivery(job)).state is DeliveryState.DELIVERED


async def test_each_event_is_told_that_was_asked_for() -> None:
    lab = WebhookLab()
    job = await lab.job(*EVENTS)
    await lab.send()
    await lab.start(job.id)
    await lab.send()
    for at in (1, 2, 6):  # of these, the second is too soon after the first
        lab.clock.advance(1 if at < 6 else 5)
        await lab.advance(job.id, Progress(fraction=at / 10))
        await lab.send()
    await lab.succeed_running(job.id)
    await lab.send()
    assert told(lab) == [
        "job.queued",
        "job.started",
        "job.progress",
        "job.progress",
        "job.completed",
    ]


@pytest.mark.parametrize("end", ["job.failed", "job.canceled", "job.completed"])
async def test_ends_by_default(end: str) -> None:
    lab = WebhookLab()
    job = await lab.job()
    if end == "job.failed":
        await lab.fail(job.id, JobError("node-error", "broken"))
    elif end == "job.canceled":
        await lab.cancel(job)
    else:
        await lab.succeed(job.id)
    await lab.send()
    assert told(lab) == [end]


async def test_a_failure_is_repeated_under_the_same_id_until_it_arrives() -> None:
    lab = WebhookLab(500, WebhookUnsent("no answer came within 5 s"), 302, 200)
    job = await lab.ended()
    await lab.send()
    delivery = await lab.delivery(job)
    assert (delivery.code, delivery.error) == (500, "the receiver answered 500")
    await lab.send_all()
    delivery = await lab.delivery(job)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 4)
    assert len({each.id for each in lab.receiver.posts}) == 1
    assert len({each.headers["webhook-timestamp"] for each in lab.receiver.posts}) == 4


async def test_whoever_dies_in_a_delivery_loses_none() -> None:
    """The sender is killed before and after each of its calls, and of those of the receiver."""
    step, lab = 0, WebhookLab()
    for step in range(1, MOST_STEPS):
        lab = WebhookLab()
        job = await lab.ended()
        lab.death.at = step
        try:
            await lab.send()
        except Killed:
            lab.clock.advance(LEASE.total_seconds())
            await lab.send()
        else:
            break
        assert len({each.id for each in lab.receiver.posts}) == 1, step
        assert (await lab.delivery(job)).state is DeliveryState.DELIVERED, step
    assert 10 < step < MOST_STEPS - 1, "it was killed at many steps, and at the end at none"
    assert len(lab.receiver.posts) == 1


async def test_whoever_dies_in_the_change_of_a_job_leaves_both_or_neither() -> None:
    for step in range(1, MOST_STEPS):
        lab = WebhookLab()
        job = await lab.job()
        lab.death.at = step
        try:
            await lab.succeed(job.id)
        except Killed:
            ended = (await lab.records.get(job.id)).status.terminal
            assert len(await lab.deliveries(job)) == int(ended), step
        else:
            break
    assert 6 < step < MOST_STEPS - 1


async def test_of_many_senders_one_sends() -> None:
    lab = WebhookLab()
    job = await lab.ended()
    key = key_of(await lab.delivery(job))
    tried = await asyncio.gather(*(lab.services.webhook_sender.send(key) for _ in range(10)))
    assert tried.count(True) == 1
    assert len(lab.receiver.posts) == 1


async def test_a_sender_that_was_frozen_changes_nothing_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = WebhookLab(500)
    job = await lab.ended()
    key = key_of(await lab.delivery(job))
    post = lab.receiver.post

    async def frozen(
        url: str, headers: Mapping[str, str], body: bytes, *, tenant: TenantId
    ) -> WebhookAnswer:
        answer = await post(url, headers, body, tenant=tenant)
        if len(lab.receiver.posts) == 1:
            lab.clock.advance(LEASE.total_seconds())
            await lab.services.webhook_sender.send(key)
        return answer

    monkeypatch.setattr(lab.receiver, "post", frozen)
    await lab.services.webhook_sender.send(key)
    delivery = await lab.delivery(job)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 2)


async def test_a_table_that_is_away_loses_none() -> None:
    lab = WebhookLab()
    job = await lab.ended()
    lab.table.faults_before = [TableUnavailable("away")]
    await lab.send()
    assert lab.receiver.posts == []
    lab.clock.advance(1)
    await lab.send()
    assert (await lab.delivery(job)).state is DeliveryState.DELIVERED


async def test_gone_ends_what_is_told_of_that_job_alone() -> None:
    lab = WebhookLab(410)
    job = await lab.job(*EVENTS)
    await lab.send()
    await lab.succeed(job.id)
    await lab.send_all()
    first, *others = await lab.deliveries(job)
    assert (first.state, first.code) == (DeliveryState.FAILED, 410)
    assert {each.state for each in others} == {DeliveryState.DROPPED}
    assert all("410" in (each.error or "") for each in others)
    await lab.ended()
    await lab.send()
    assert len(lab.receiver.posts) == 2


async def test_a_default_is_as_it_is_when_a_webhook_is_sent() -> None:
    lab = WebhookLab(500, 410)
    tenants = lab.services.tenant_records
    await set_default(lab, "https://old.example/")
    job = await lab.ended(url=None)
    await lab.send()
    await set_default(lab, "https://new.example/")
    await lab.send_all()
    assert [each.url for each in lab.receiver.posts] == [
        "https://old.example/",
        "https://new.example/",
    ]
    default = (await tenants.get(DEFAULT_TENANT)).webhook
    assert default is not None
    assert default.gone_at == lab.clock.now()
    assert (await lab.delivery(job)).state is DeliveryState.FAILED
    later = await lab.ended(url=None)
    await lab.send()
    assert (await lab.delivery(later)).state is DeliveryState.DROPPED
    assert len(lab.receiver.posts) == 2


async def set_default(lab: WebhookLab, url: str) -> None:
    webhook = DefaultWebhook(url=url)
    await lab.services.tenant_records.change(
        DEFAULT_TENANT, lambda tenant: replace(tenant, webhook=webhook)
    )


async def test_retry_after_is_kept() -> None:
    lab = WebhookLab(
        WebhookAnswer(429, "7203"), WebhookAnswer(503, "Thu, 01 Jan 2026 05:00:00 GMT")
    )
    job = await lab.ended()
    began = lab.clock.now()
    await lab.send()
    delivery = await lab.delivery(job)
    assert (delivery.due_at - began).total_seconds() == 7_203
    assert f"left alone until {delivery.due_at:%Y-%m-%d %H:%M:%S}Z" in str(delivery.error)
    lab.clock.advance(7_203)
    await lab.send()
    assert (await lab.delivery(job)).due_at.hour == 5


@pytest.mark.parametrize(
    "asked",
    [
        "-5",
        "soon",
        "Fri, 27 Nov 2026 09:00:00 +999999999999999999",
        "Fri, 31 Dec 9999 23:59:59 -1200",
    ],
)
async def test_a_retry_after_without_a_meaning_is_none(asked: str) -> None:
    lab = WebhookLab(WebhookAnswer(503, asked))
    job = await lab.ended()
    began = lab.clock.now()
    await lab.send()
    delivery = await lab.delivery(job)
    assert delivery.code == 503
    assert timedelta(seconds=1) < delivery.due_at - began < timedelta(seconds=10)


async def test_a_fault_of_ours_is_a_try_that_failed() -> None:
    lab = WebhookLab(RuntimeError("a fault"))
    job = await lab.ended()
    await lab.send()
    delivery = await lab.delivery(job)
    assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 1)
    assert delivery.error == "it could not be sent; the server's log says why"
    lab.clock.advance(10)
    await lab.send()
    assert (await lab.delivery(job)).state is DeliveryState.DELIVERED


async def test_what_no_try_settles_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = WebhookLab()
    job = await lab.ended()

    async def unsettled(*_: object) -> None:
        raise TableUnavailable("away")

    monkeypatch.setattr(lab.services.webhook_sender, "_settle", unsettled)
    await lab.send()
    monkeypatch.undo()
    lab.clock.advance(WINDOW.total_seconds() + 1)
    await lab.send()
    delivery = await lab.delivery(job)
    assert (delivery.state, len(lab.receiver.posts)) == (DeliveryState.FAILED, 1)
    assert delivery.error == "no try came to an end; given up after 1 tries"
    assert "webhook_failed" in capsys.readouterr().err, "operators see each end"


async def test_a_round_sends_no_more_to_a_receiver_that_hangs_and_all_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The function that sends rounds ends after some seconds, and comes again in a minute."""
    monkeypatch.setattr("comfyq.services.notify.due_webhooks.PAGE", 30)
    lab = WebhookLab()
    hanging, other = "https://hanging.example/", "https://other.example/"
    posts: Counter[str] = Counter()

    async def post(url: str, *_given: object, **_more: object) -> WebhookAnswer:
        posts[url] += 1
        if url == other:
            return WebhookAnswer(204)
        ends = lab.clock.now() + timedelta(seconds=5)
        for _ in range(50):  # meanwhile others are sent to
            await asyncio.sleep(0)
        lab.clock.set(max(ends, lab.clock.now()))
        raise WebhookUnsent("the receiver took too long")

    monkeypatch.setattr(lab.receiver, "post", post)
    for number in range(80):
        await lab.ended(url=hanging if number % 2 else other)
    monkeypatch.setattr("comfyq.services.notify.due_webhooks.ROUND", timedelta(seconds=5))
    await lab.send()
    assert posts == {hanging: SHARE, other: 15}, "a page, after which the round has lasted enough"
    monkeypatch.undo()
    monkeypatch.setattr(lab.receiver, "post", post)
    await lab.send()
    assert posts == {hanging: 2 * SHARE, other: 40}


async def test_newer_progress_is_not_taken_for_the_one_that_is_being_sent() -> None:
    lab = WebhookLab()
    job = await lab.job(WebhookEvent.PROGRESS)
    await lab.start(job.id)
    await lab.advance(job.id, Progress(fraction=0.1))
    records = lab.services.webhook_delivery_records
    slow = claimed(await lab.delivery(job), now=lab.clock.now())
    assert await records.save(slow)
    lab.clock.advance(6)
    await lab.advance(job.id, Progress(fraction=0.2))
    newer = claimed(await lab.delivery(job), now=lab.clock.now())
    assert await records.save(newer)
    assert not await records.save(
        settled(slow, Attempted(error="late"), now=lab.clock.now(), chance=0.5)
    )
    assert (await lab.delivery(job)).id == newer.id


async def test_the_webhooks_of_a_deleted_job_go_with_it() -> None:
    lab = WebhookLab()
    job = await lab.ended()
    await lab.records.remove(await lab.records.get(job.id))
    await lab.send()
    assert lab.receiver.posts == []
    assert await lab.deliveries(job) == []


async def test_the_reaper_rings_for_what_another_process_has_stored() -> None:
    lab = WebhookLab()
    await lab.ended()
    deadlines = lab.services.webhook_deadlines
    deadlines.forget()  # as if this process had not stored it
    lab.clock.advance(60)
    assert (await lab.services.reaper.reap())["webhooks_rung"] == 1
    assert deadlines.earliest == lab.clock.now()
    await lab.send()
    deadlines.forget()
    assert "webhooks_rung" not in await lab.services.reaper.reap()
    assert deadlines.earliest is None


async def test_links_begin_as_the_job_was_submitted_where_no_public_url_is_said() -> None:
    lab = WebhookLab(PUBLIC_URL=None)
    job = await lab.job(WebhookEvent.QUEUED, base_url="http://lab:8000")
    await lab.send()
    data = json.loads(lab.receiver.posts[0].body)["data"]
    assert data["urls"]["self"] == f"http://lab:8000/generate/{job.id}"
    assert data["urls"]["ws"] == f"ws://lab:8000/ws/progress/{job.id}"
