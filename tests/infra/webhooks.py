"""What a deployment does for webhooks, so that each right is needed once."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from uuid import uuid4

from comfyq.bootstrap.services import Services
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobId, JobStatus
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook.events import ENDS
from comfyq.ports.table import Delete
from tests.infra.deployment import Deployment, submission

HOUR = timedelta(hours=1)
SETTLED: dict[str, list[str]] = {"batchItemFailures": []}


def play(deployment: Deployment) -> None:
    with _receiving() as receiver:
        _of_a_request(deployment, receiver)
        _of_a_default(deployment, receiver)
        _a_lost_ring(deployment)


class Receiver(HTTPServer):
    """Answers with ``codes`` in turn, and then 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.codes: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.server.codes.pop(0) if self.server.codes else 204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def _receiving() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


def _of_a_request(deployment: Deployment, receiver: Receiver) -> None:
    """Told of its acceptance, which fails at first, and of its end, of which it wants no more."""
    with deployment.role("ApiRole"):
        job_id = deployment.api().submit(
            "w", webhook_url=receiver.url, webhook_events=["queued", "completed"]
        )
    asyncio.run(deployment.services().ports.table.write(Delete(("SECRET#links", "-"))))
    receiver.codes = [500]
    with deployment.role("WebhookRole") as overhearing:
        assert deployment.tell(job_id) == SETTLED
        assert overhearing.recording.calls["sqs:SendMessageBatch"] == 1

    async def ended(services: Services) -> bool:
        return (await services.records.get(JobId(job_id))).status is JobStatus.SUCCEEDED

    with deployment.role("WorkerPolicy"):
        deployment.work(ended)
    receiver.codes = [410, 410]
    with deployment.role("WebhookRole"):
        deployment.tell(job_id)
    with deployment.role("ApiRole"):
        api = deployment.api()
        shown = json.loads(api("show", f"/generate/{job_id}/deliveries")["body"])["deliveries"]
        assert shown[-1]["response_code"] == 410
        url = f"/generate/{job_id}/deliveries/{shown[-1]['id']}/redeliver"
        assert api("generate", url, body="{}")["statusCode"] == 202


def _of_a_default(deployment: Deployment, receiver: Receiver) -> None:
    with deployment.role("ApiRole"):
        api = deployment.api()
        assert api.put("/webhooks", json.dumps({"url": receiver.url}))["statusCode"] == 200
        assert "whsec_" in api("list", "/webhooks/secret")["body"]
        rotated = api("generate", "/webhooks/secret/rotate", body="{}")
        assert json.loads(rotated["body"])["earlier_secret"]
    message = submission(json.dumps({"prompt": "a fox", "webhook_events": ["queued"]}))
    with deployment.role("IntakeRole"):
        assert deployment.take(message) == SETTLED
    receiver.codes = [410]
    with deployment.role("WebhookRole"):
        deployment.tell(message["messageId"])
    with deployment.role("ApiRole"):
        api = deployment.api()
        assert json.loads(api("list", "/webhooks")["body"])["gone_at"] is not None
        assert api("cancel", "/webhooks")["statusCode"] == 200


def _a_lost_ring(deployment: Deployment) -> None:
    """The reaper rings for what is to be told since an hour."""
    asyncio.run(_create_ended(deployment.services_of(ago=HOUR)))
    with deployment.role("ReaperRole"):
        assert deployment.reap()["webhooks_rung"] >= 1


async def _create_ended(services: Services) -> None:
    now = services.ports.clock.now()
    job = jobs.submitted(
        id=JobId(str(uuid4())),
        tenant=DEFAULT_TENANT,
        workflow="flux-dev",
        created_at=now,
        webhook_events=ENDS,
    )
    await services.records.create(job, Spec(graph={}, parameters={}))
    await services.records.update(job, jobs.request_cancel)
