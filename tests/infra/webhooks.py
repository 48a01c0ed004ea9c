"""What a deployment does for webhooks, so that each right is needed once."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

from comfyq.bootstrap.services import Services
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobId, JobStatus
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook.events import ENDS
from comfyq.ports.table import Delete
from tests.infra.deployment import Deployment, submission
from tests.receiver import Receiver, receiving

LATE = timedelta(minutes=10)
SETTLED: dict[str, list[str]] = {"batchItemFailures": []}


def play(deployment: Deployment) -> None:
    with receiving() as receiver:
        _of_a_request(deployment, receiver)
        _of_a_default(deployment, receiver)
        _a_lost_ring(deployment)


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
        receiver.codes = [500]
        tested = api("generate", "/webhooks/test", body="{}")
        assert json.loads(tested["body"])["response_code"] == 500
        assert receiver.url.partition("/hook")[0] in api("list", "/webhooks")["body"]
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
    """The reaper rings for what is to be told since ten minutes."""
    asyncio.run(_create_ended(deployment.services_of(ago=LATE)))
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
