"""What became of a job's webhooks, and the default of a tenant, over HTTP."""

from collections.abc import Mapping
from typing import Any

import pytest
from standardwebhooks import Webhook

from comfyq.domain.caller import TenantId
from comfyq.domain.webhook.events import ENDS
from comfyq.local.limits.overload import OverloadGuard
from comfyq.ports.webhooks import WebhookAnswer, WebhookUnsent
from tests.api_lab import output
from tests.asgi_client import AsgiClient
from tests.webhook_lab import Posted, WebhookApiLab

pytestmark = pytest.mark.anyio

URL = "https://receiver.example/hook?token=hidden"
DAY_S = 86_400


@pytest.fixture
def lab() -> WebhookApiLab:
    return WebhookApiLab()


def deliveries(lab: WebhookApiLab, job_id: str) -> list[dict[str, Any]]:
    answer = lab.client.get(f"/generate/{job_id}/deliveries")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def verified(lab: WebhookApiLab, secret: str, posted: Posted) -> bool:
    """Tell if the receivers' library takes a message, whose time is that of the test."""
    signed = Webhook(secret).sign(posted.id, lab.clock.now(), posted.body.decode())
    return signed in posted.headers["webhook-signature"].split(" ")


async def test_what_became_of_each_webhook_is_listed(lab: WebhookApiLab) -> None:
    lab.receiver.script = [204, WebhookUnsent("no answer came within 5 s")]
    job_id = lab.submit(webhook_url=URL, webhook_events=["queued", "completed"])["id"]
    await lab.told()
    await lab.succeed(job_id, output())
    await lab.told()
    arrived, failed = deliveries(lab, job_id)
    assert arrived == {
        "id": f"msg_{job_id}_1",
        "type": "job.queued",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "status": "delivered",
        "attempts": 1,
        "response_code": 204,
        "error": None,
        "next_try_at": None,
    }
    assert (failed["status"], failed["error"]) == ("pending", "no answer came within 5 s")
    assert failed["next_try_at"] > failed["timestamp"]


async def test_a_webhook_is_sent_once_more_under_its_id(lab: WebhookApiLab) -> None:
    lab.receiver.script = [410]
    job_id = lab.submit(webhook_url=URL, webhook_events=["queued", "completed"])["id"]
    await lab.told()
    await lab.succeed(job_id, output())
    await lab.told()
    refused, dropped = deliveries(lab, job_id)
    assert (refused["status"], dropped["status"]) == ("failed", "dropped")
    for each in (refused, dropped):
        again = lab.client.post(f"/generate/{job_id}/deliveries/{each['id']}/redeliver")
        assert (again.status_code, again.json()["status"]) == (202, "pending")
    await lab.services.due_webhooks.send_round()
    assert {each.id for each in lab.receiver.posts} == {refused["id"], dropped["id"]}
    assert {each["status"] for each in deliveries(lab, job_id)} == {"delivered"}
    missing = lab.client.post(f"/generate/{job_id}/deliveries/msg_1/redeliver")
    assert (missing.status_code, missing.json()["code"]) == (404, "delivery-not-found")


async def test_what_is_sent_once_more_counts_as_a_request() -> None:
    lab = WebhookApiLab(COMFYQ_REQUESTS_PER_MINUTE=3)
    job_id = lab.submit(webhook_url=URL, webhook_events=["queued"])["id"]
    lab.client.put("/webhooks", json={"url": URL})
    await lab.told()
    again = f"/generate/{job_id}/deliveries/msg_{job_id}_1/redeliver"
    asked = [lab.client.post(path) for path in (again, "/webhooks/test", again, "/webhooks/test")]
    assert [each.status_code for each in asked] == [202, 200, 429, 429]
    assert [each.headers["RateLimit"].split(";")[1] for each in asked] == [
        "r=1",
        "r=0",
        "r=0",
        "r=0",
    ]
    for refused in asked[2:]:
        assert (refused.json()["code"], refused.headers["Retry-After"]) == ("rate-limited", "20")
    lab.receiver.posts.clear()
    assert await lab.told() == [(URL, "job.queued", job_id)], "once, as the first of both asked"
    lab.clock.advance(20)
    assert lab.client.post(again).status_code == 202


def test_the_default_is_set_shown_without_its_query_and_deleted(lab: WebhookApiLab) -> None:
    nobody: dict[str, object] = {"url": None, "events": [], "gone_at": None, "failing": []}
    assert lab.client.get("/webhooks").json() == nobody
    stored = lab.client.put("/webhooks", json={"url": URL})
    assert stored.json() == {
        "url": "https://receiver.example/hook?…",
        "events": list(ENDS),
        "gone_at": None,
        "failing": [],
    }
    assert lab.client.get("/webhooks").json() == stored.json()
    assert lab.client.delete("/webhooks").json() == nobody
    for wrong in ({"url": "https://a@b/hidden"}, {"url": URL, "events": []}, {"uri": URL}, {}):
        answer = lab.client.put("/webhooks", json=wrong)
        assert answer.status_code == 422, wrong
        assert "hidden" not in answer.text


async def test_secrets_overlap_for_a_day(lab: WebhookApiLab) -> None:
    old = lab.client.get("/webhooks/secret").json()
    assert old["earlier_secret"] is None
    new = lab.client.post("/webhooks/secret/rotate").json()
    assert new["earlier_secret"] == old["secret"]
    for at, signs in ((0, True), (DAY_S, False)):
        lab.clock.advance(at)
        lab.submit(webhook_url=URL, webhook_events=["queued"])
        await lab.services.due_webhooks.send_round()
        posted = lab.receiver.posts.pop()
        assert verified(lab, new["secret"], posted)
        assert verified(lab, old["secret"], posted) is signs
    assert lab.client.get("/webhooks/secret").json()["earlier_secret"] is None
    actions = {each["action"] for each in lab.client.get("/audit").json()["entries"]}
    assert {"webhook-secret-shown", "webhook-secret-rotated"} <= actions


def test_a_message_tries_the_default_out(lab: WebhookApiLab) -> None:
    assert lab.client.post("/webhooks/test").status_code == 422
    lab.client.put("/webhooks", json={"url": URL})
    secret = lab.client.get("/webhooks/secret").json()["secret"]
    lab.receiver.script = [204, 500]
    assert lab.client.post("/webhooks/test").json()["delivered"] is True
    failed = lab.client.post("/webhooks/test").json()
    assert failed == {
        "delivered": False,
        "response_code": 500,
        "error": "the receiver answered 500",
    }
    assert all(verified(lab, secret, each) for each in lab.receiver.posts)
    assert len({each.id for each in lab.receiver.posts}) == 2


def test_a_receiver_that_is_tried_out_keeps_no_request_out(lab: WebhookApiLab) -> None:
    lab.client.put("/webhooks", json={"url": URL})
    guard = OverloadGuard(lab.app, most=1)
    waiting: list[int] = []

    async def post(
        url: str, headers: Mapping[str, str], body: bytes, *, tenant: TenantId
    ) -> WebhookAnswer:
        waiting.append(guard.waiting)
        return WebhookAnswer(204)

    lab.receiver.post = post  # type: ignore[method-assign]
    answer = AsgiClient(guard, base_url="http://lab:8000").post("/webhooks/test")
    assert answer.json()["delivered"] is True
    assert waiting == [0]
