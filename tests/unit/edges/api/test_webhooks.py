"""Webhooks as requests ask for them: accepted on every way, told once, and shown nowhere."""

import json
from dataclasses import replace
from typing import Any

import pytest

from comfyq.domain.job import JobError, JobId
from comfyq.domain.public_addresses import Allowed
from comfyq.domain.webhook.default import DefaultWebhook
from comfyq.ports.inbox import Message
from tests.api_lab import output
from tests.webhook_lab import WebhookApiLab

pytestmark = pytest.mark.anyio

URL = "https://receiver.example/hook?token=hidden"
DEFAULT = DefaultWebhook(url="https://default.example/")
GRAPH = {"9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "a"}}}


@pytest.fixture
def lab() -> WebhookApiLab:
    return WebhookApiLab()


async def test_a_webhook_has_the_job_as_it_is_shown(lab: WebhookApiLab) -> None:
    job_id = lab.submit(webhook_url=URL)["id"]
    await lab.succeed(job_id, output())
    await lab.services.due_webhooks.send_round()
    told, shown = json.loads(lab.receiver.posts[0].body)["data"], lab.show(job_id)
    assert told["urls"].pop("events") == f"{shown['urls']['self']}/events"
    assert shown["urls"].pop("events") is None, "the application in memory holds nothing open"
    assert told == shown


async def test_every_way_to_submit_takes_webhooks(lab: WebhookApiLab) -> None:
    asked = {"webhook_url": URL, "webhook_events": ["queued"]}
    bodies = {
        "/generate": {"graph": GRAPH, **asked},
        "/generate?": {**GRAPH, **asked},
        "/workflows/sd15/generate": {"prompt": "a fox", **asked},
    }
    for path, body in bodies.items():
        answer = lab.client.post(path, json=body)
        assert answer.status_code == 202, answer.text
        assert await lab.told() == [(URL, "job.queued", answer.json()["id"])], path
    message = Message("6f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34", json.dumps({"prompt": "x", **asked}))
    caller = await lab.services.authenticator.of_queue("submissions")
    await lab.intake.take(caller, message)
    assert await lab.told() == [(URL, "job.queued", message.id)]


async def test_a_batch_has_a_webhook_for_those_that_name_none(lab: WebhookApiLab) -> None:
    own = {"prompt": "b", "webhook_url": "https://own.example/"}
    requests = [{"prompt": "a"}, own, {"prompt": "c", "webhook_events": []}]
    body = {"requests": requests, "webhook_url": URL, "webhook_events": ["started", "failed"]}
    batch = lab.client.post("/generate/batch", json=body).json()
    a, b, c = (each["job"]["id"] for each in batch["items"])
    assert await lab.events(a) == ["started", "failed"]
    assert await lab.events(b) == ["completed", "failed", "canceled"]
    assert await lab.events(c) == []
    product = {"product": {"prompt": ["d"]}, "webhook_url": URL}
    [d] = lab.client.post("/generate/batch", json=product).json()["items"]
    assert await lab.events(d["job"]["id"]) == ["completed", "failed", "canceled"]


async def test_a_refused_message_is_told_as_failed(lab: WebhookApiLab) -> None:
    body = json.dumps({"prompt": "a fox", "steps": "many", "webhook_url": URL})
    message = Message("6f0c8a1e-3f5b-4a52-9d0e-7c1f2b9a6d34", body)
    caller = await lab.services.authenticator.of_queue("submissions")
    await lab.intake.take(caller, message)
    assert await lab.told() == [(URL, "job.failed", message.id)]


async def test_a_retry_tells_whom_the_job_told(lab: WebhookApiLab) -> None:
    job_id = lab.submit(webhook_url=URL, webhook_events=["queued", "failed"])["id"]
    await lab.fail(job_id, JobError("node-error", "it broke"))
    await lab.told()
    retry = lab.client.post(f"/generate/{job_id}/retry").json()
    assert await lab.told() == [(URL, "job.queued", retry["id"])]


async def test_a_job_that_is_ended_when_it_is_stored_is_told(lab: WebhookApiLab) -> None:
    first = lab.submit(seed=1, reuse=True)["id"]
    spec = await lab.records.spec(JobId(first))
    job = await lab.succeed(first, output())
    await lab.reuse.note(job, spec)
    request = {"prompt": "a fox", "seed": 1, "reuse": True, "webhook_url": URL}
    reused = lab.client.post("/generate", json=request).json()
    assert reused["reused_from"] == first, "the webhook is no part of what a job makes"
    assert await lab.told() == [(URL, "job.completed", reused["id"])]


async def test_the_default_is_told_of_jobs_that_name_nobody(lab: WebhookApiLab) -> None:
    await lab.set_default(replace(DEFAULT, events=(*DEFAULT.events[:1],)))
    default, own = lab.submit()["id"], lab.submit(webhook_url=URL)["id"]
    other, none = lab.submit(webhook_events=["queued"])["id"], lab.submit(webhook_events=[])["id"]
    assert await lab.events(default) == ["completed"]
    assert await lab.events(none) == []
    assert await lab.told() == [(DEFAULT.url, "job.queued", other)]
    for each in (default, own, none):
        await lab.succeed(each, output())
    assert await lab.told() == [
        (DEFAULT.url, "job.completed", default),
        (URL, "job.completed", own),
    ]


async def test_events_for_nobody_are_refused(lab: WebhookApiLab) -> None:
    body = {"prompt": "a fox", "webhook_events": ["queued"]}
    for path in ("/generate", "/generate?dry_run=true"):
        answer = lab.client.post(path, json=body)
        assert answer.status_code == 422
        assert [each["field"] for each in answer.json()["errors"]] == ["webhook_events"]


@pytest.mark.parametrize(
    "asked",
    [
        {"webhook_url": "https://user:hidden@receiver.example/"},
        {"webhook_url": "ftp://receiver.example/hidden"},
        {"webhook_url": ["https://receiver.example/hidden"]},
        {"webhook_url": URL, "webhook_events": ["ended"]},
        {"webhook_url": URL, "webhook_events": [{"queued": True}]},
        {"webhook_url": URL, "webhook_events": "queued"},
    ],
    ids=repr,
)
def test_what_is_no_webhook_is_refused_without_repeating_the_url(
    lab: WebhookApiLab, asked: dict[str, Any]
) -> None:
    for path in ("/generate", "/workflows/sd15/generate"):
        answer = lab.client.post(path, json={"prompt": "a fox", **asked})
        assert answer.status_code == 422, answer.text
        assert "hidden" not in answer.text
        assert "webhook" in answer.text


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8188",
        "10.0.0.1",
        "[::1]:9000",
        "[::ffff:192.168.0.1]",
        "2130706433",
        "0x7f000001",
        "localhost:8000",
        "hooks.localhost",
    ],
)
async def test_a_host_that_is_not_public_is_refused_on_every_way(
    lab: WebhookApiLab, host: str
) -> None:
    private = f"http://{host}/hidden"
    asked = {"prompt": "a fox", "webhook_url": private}
    graph = {"graph": GRAPH, "webhook_url": private}
    bodies = [
        ("/generate", asked),
        ("/generate", graph),
        ("/generate?dry_run=true", asked),
        ("/workflows/sd15/generate", asked),
        ("/generate/batch", {"requests": [{"prompt": "a"}], "webhook_url": private}),
        ("/generate/batch", {"product": {"prompt": ["a"]}, "webhook_url": private}),
        ("/generate/batch", {"requests": [asked]}),
    ]
    answers = [lab.client.post(path, json=body) for path, body in bodies]
    answers.append(lab.client.put("/webhooks", json={"url": private}))
    for answer in answers:
        assert answer.status_code == 422, answer.text
        [wrong] = answer.json()["errors"]
        assert wrong["field"].rpartition(".")[2] in ("webhook_url", "url")
        assert "is not in the public internet" in wrong["message"]
        assert "COMFYQ_WEBHOOK_ALLOW" in wrong["message"]
        assert "hidden" not in answer.text
    assert lab.client.get("/webhooks").json()["url"] is None
    assert lab.client.get("/generate").json()["jobs"] == []


async def test_what_is_allowed_may_be_told(lab: WebhookApiLab) -> None:
    allowing = WebhookApiLab(COMFYQ_WEBHOOK_ALLOW="10.0.0.0/8,localhost")
    for host in ("10.0.0.1", "localhost:8000", "8.8.8.8", "134744072"):
        allowing.submit(webhook_url=f"http://{host}/")
    stored = allowing.client.put("/webhooks", json={"url": "http://10.0.0.1/"})
    assert stored.status_code == 200, stored.text
    for closed in ("192.168.0.1", "127.0.0.1", "169.254.169.254"):
        asked = {"prompt": "a fox", "webhook_url": f"http://{closed}/"}
        assert allowing.client.post("/generate", json=asked).status_code == 422
    body = {"prompt": "a fox", "webhook_url": "http://169.254.169.254/"}
    [wrong] = lab.client.post("/generate", json=body).json()["errors"]
    assert "metadata service" in wrong["message"], "which no setting opens"


async def test_a_retry_is_refused_whose_host_is_allowed_no_more() -> None:
    lab = WebhookApiLab(COMFYQ_WEBHOOK_ALLOW="10.0.0.1")
    job_id = lab.submit(webhook_url="http://10.0.0.1/")["id"]
    await lab.fail(job_id, JobError("node-error", "it broke"))
    vars(lab.services.webhook_choice)["_allowed"] = Allowed()
    answer = lab.client.post(f"/generate/{job_id}/retry")
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == ["webhook_url"]


async def test_the_query_of_a_url_is_shown_nowhere(
    lab: WebhookApiLab, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = lab.submit(webhook_url=URL)["id"]
    lab.receiver.script = [500]
    await lab.succeed(job_id, output())
    await lab.told()
    shown = [
        lab.client.get(f"/generate/{job_id}{page}").text for page in ("", "/story", "/metadata")
    ]
    logged = capsys.readouterr()
    assert "receiver.example" in logged.out + logged.err
    assert "hidden" not in "".join([*shown, logged.out, logged.err])


def test_another_webhook_is_another_request(lab: WebhookApiLab) -> None:
    key = {"Idempotency-Key": "one"}
    body = {"prompt": "a fox", "webhook_url": URL}
    first = lab.client.post("/generate", json=body, headers=key)
    assert lab.client.post("/generate", json=body, headers=key).json() == first.json()
    other = lab.client.post("/generate", json=body | {"webhook_events": ["queued"]}, headers=key)
    assert other.json()["code"] == "idempotency-mismatch"
