"""Receivers that fail for days are left alone, say so, and begin anew once something arrives."""

import json

import pytest

from comfyq.bootstrap.api import api_app
from comfyq.domain.caller import DEFAULT_TENANT, Scope, TenantId
from comfyq.domain.webhook.failing_receiver import PAUSED_AFTER, TRIED_EVERY
from comfyq.domain.webhook_delivery import DeliveryState
from tests.asgi_client import AsgiClient
from tests.webhook_lab import URL, WebhookLab

pytestmark = pytest.mark.anyio

DAY_S = 86_400
OTHER = TenantId("other")


async def paused() -> WebhookLab:
    """Return a lab whose receiver has failed for days."""
    lab = WebhookLab(*[500] * 100)
    while lab.clock.now() - (began := lab.began) <= PAUSED_AFTER:
        await lab.ended()
        await lab.send()
        lab.clock.advance(DAY_S / 2)
    await lab.ended()
    await lab.send()
    assert lab.clock.now() > began + PAUSED_AFTER
    lab.receiver.posts.clear()
    return lab


async def test_days_of_failures_pause_a_receiver(capsys: pytest.CaptureFixture[str]) -> None:
    lab = await paused()
    [failing] = await lab.services.tenant_webhooks.failing(DEFAULT_TENANT)
    assert (failing.origin, failing.since) == ("https://receiver.example:443", lab.began)
    assert failing.paused_until is not None
    lines = map(json.loads, capsys.readouterr().err.splitlines())
    [line] = [each for each in lines if each["event"] == "webhook_receiver_paused"]
    assert (line["level"], line["receiver"]) == ("error", failing.origin)


async def test_how_many_are_paused_is_told_to_those_whom_it_concerns() -> None:
    lab = await paused()
    client = AsgiClient(api_app(lab.services), base_url="http://lab:8000")
    assert client.get("/health").json()["paused_webhook_receivers"] == 1
    assert "\ncomfyq_webhook_receivers_paused 1" in client.get("/metrics").text
    keyed = WebhookLab(COMFYQ_AUTH="keys").services
    keyed.receiver_watch = lab.services.receiver_watch
    asked = AsgiClient(api_app(keyed), base_url="http://lab:8000")
    told: dict[str, int | None] = {}
    for name, tenant, scopes in (
        ("operator elsewhere", OTHER, {Scope.OPERATOR}),
        ("administrator", DEFAULT_TENANT, {Scope.ADMIN}),
        ("administrator elsewhere", OTHER, {Scope.ADMIN}),
        ("reader", DEFAULT_TENANT, {Scope.READ}),
    ):
        _, key = await keyed.api_keys.create(tenant, "a key", frozenset(scopes), lives=None)
        shown = asked.get("/health", headers={"X-API-Key": key})
        told[name] = shown.json()["paused_webhook_receivers"]
    for name, headers in (("nobody", {}), ("key of nobody", {"Authorization": "Bearer no"})):
        shown = asked.get("/health", headers=headers)
        told[name] = shown.json()["paused_webhook_receivers"]
        assert shown.status_code == 200
    assert told == {
        "operator elsewhere": 1,
        "administrator": 1,
        "administrator elsewhere": 0,
        "reader": None,
        "nobody": None,
        "key of nobody": None,
    }
    assert (await keyed.backlog.report()).paused_receivers == 1
    lab.clock.advance(2 * DAY_S)
    assert await lab.services.receiver_watch.paused() == 0, "nothing is left to tell it"
    [failing] = await lab.services.tenant_webhooks.failing(DEFAULT_TENANT)
    assert failing.paused_until is not None
    assert await lab.services.tenant_webhooks.failing(OTHER) == []


async def test_of_many_deliveries_one_an_hour_is_tried() -> None:
    lab = await paused()
    jobs = [await lab.ended() for _ in range(5)]
    await lab.send()
    assert lab.receiver.posts == []
    delivery = await lab.delivery(jobs[0])
    assert (delivery.state, delivery.attempts) == (DeliveryState.PENDING, 0)
    assert "is paused" in (delivery.error or "")
    assert "hidden" not in (delivery.error or "")
    lab.clock.advance(TRIED_EVERY.total_seconds())
    await lab.send()
    assert len(lab.receiver.posts) == 1


async def test_what_arrives_ends_the_pause() -> None:
    lab = await paused()
    job = await lab.ended()
    lab.receiver.script.clear()
    await lab.send_all()
    assert (await lab.delivery(job)).state is DeliveryState.DELIVERED
    assert await lab.services.tenant_webhooks.failing(DEFAULT_TENANT) == []


async def test_other_receivers_are_sent_to_meanwhile() -> None:
    lab = await paused()
    lab.receiver.script.clear()
    await lab.ended(url="https://other.example/")
    await lab.ended()
    await lab.send()
    assert [each.url for each in lab.receiver.posts] == ["https://other.example/"]


async def test_whoever_sends_it_again_ends_the_pause() -> None:
    lab = await paused()
    job = await lab.ended()
    await lab.send()
    lab.receiver.script.clear()
    delivery = await lab.delivery(job)
    await lab.services.webhook_deliveries.redeliver(lab.owner, job.id, delivery.id)
    await lab.send()
    assert [each.url for each in lab.receiver.posts if each.id == delivery.id] == [URL]


async def test_a_failure_of_days_ago_says_nothing_of_the_days_since() -> None:
    lab = WebhookLab(502, 502)
    await fails_once(lab)
    lab.clock.advance(PAUSED_AFTER.total_seconds() + DAY_S)
    await fails_once(lab)
    [failing] = await lab.services.tenant_webhooks.failing(DEFAULT_TENANT)
    assert (failing.paused_until, failing.since) == (None, lab.clock.now())


async def fails_once(lab: WebhookLab) -> None:
    """Have one try of a job fail that is deleted before the next."""
    job = await lab.ended()
    await lab.send()
    await lab.records.remove(await lab.records.get(job.id))
