"""Rings of a queue: each succeeds or fails alone."""

import json

import pytest

from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId
from comfyq.edges.webhooks.handler import WebhookHandler
from comfyq.ports.webhooks import DeliveryKey

pytestmark = pytest.mark.anyio


async def test_only_rings_that_could_not_be_heard_come_again() -> None:
    heard: list[DeliveryKey] = []

    async def send(key: DeliveryKey) -> bool:
        heard.append(key)
        if key.job_id == "away":
            raise TableUnavailable("away")
        return key.job_id == "tried"

    bodies = [
        *(json.dumps({"job_id": each, "place": "1"}) for each in ("tried", "early", "away")),
        "no JSON",
        "[]",
        '{"job_id": "a"}',
    ]
    records = [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]
    answer = await WebhookHandler(send).handle({"Records": records})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m2"}]}
    assert DeliveryKey(JobId("tried"), "1") in heard
    assert len(heard) == 3
