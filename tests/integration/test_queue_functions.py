"""The functions that SQS calls, through their real entry points, over an emulator of AWS."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import read_settings
from comfyq.domain.job import JobId
from comfyq.domain.submission.request import Request
from comfyq.local.emulator import Emulator
from comfyq.ports.notifier import Connection
from comfyq.records.subscriptions import Subscription
from tests.fixtures.emulator import ROOT, Aws
from tests.processes import clean_env
from tests.receiver import ALLOWED, receiving

EVENTS = ROOT / "tests" / "data" / "sqs"
GOOD, BAD = "059f36b4-87a3-44ab-83d2-661975830a7d", "2e1424d4-f796-459a-8184-9c92662be6da"
DEAD = "19dd0b57-b21e-4ac1-bd88-01bbb068cb78"
CALL = """
import json, sys
from functions.{name}.handler import handler
for event in json.load(sys.stdin):
    print("answer", json.dumps(handler(event, None)))
"""


def event(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture
def env(tmp_path: Path, emulator: Emulator, provisioned: Provisioned) -> dict[str, str]:
    settings = {
        "COMFYQ_BACKEND": "emulator",
        "AWS_ENDPOINT_URL": emulator.url,
        "COMFYQ_TABLE": provisioned.table,
        "COMFYQ_QUEUE_URL": provisioned.queue_url,
        "COMFYQ_SUBMISSIONS_DEAD_QUEUE_URL": provisioned.submissions_dead_queue_url,
        "COMFYQ_BUCKET": provisioned.bucket,
    }
    return clean_env(tmp_path, settings)


def call(name: str, env: dict[str, str], *events: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the function's answers to events, one after another in one environment."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", CALL.format(name=name)],
        input=json.dumps(events),
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith("answer ")]
    return [json.loads(line.removeprefix("answer ")) for line in lines]


def job(aws: Aws, made: Provisioned, job_id: str) -> Any:
    key: Any = {"pk": {"S": f"JOB#{job_id}"}, "sk": {"S": "META"}}
    return aws.dynamodb.get_item(TableName=made.table, Key=key).get("Item")


def rings(aws: Aws, made: Provisioned) -> list[str]:
    """The jobs that the queue rings for; it shows each once."""
    heard: list[str] = []
    while messages := aws.sqs.receive_message(
        QueueUrl=made.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=0
    ).get("Messages"):
        heard += [json.loads(message["Body"])["job_id"] for message in messages]
    return heard


def test_submissions_become_jobs(aws: Aws, provisioned: Provisioned, env: dict[str, str]) -> None:
    answers = call("intake", env, event("submissions"), event("submissions"))
    assert answers == [{"batchItemFailures": []}] * 2
    assert job(aws, provisioned, GOOD)["status"]["S"] == "queued"
    assert job(aws, provisioned, BAD)["status"]["S"] == "failed"
    assert rings(aws, provisioned) == [GOOD]


def test_a_record_that_fails_comes_again(env: dict[str, str]) -> None:
    away = env | {"COMFYQ_TABLE": "nowhere"}
    [answer] = call("intake", away, event("submissions"))
    failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
    assert failed == {GOOD, BAD}


def test_the_reaper_tells_dead_letters_from_its_schedule(
    aws: Aws, provisioned: Provisioned, env: dict[str, str]
) -> None:
    call("intake", env, event("submissions"))
    assert rings(aws, provisioned) == [GOOD]
    doorbell, dead_submission = event("dead-doorbell"), event("submissions")
    doorbell["Records"][0]["body"] = json.dumps({"job_id": GOOD})
    queue = provisioned.submissions_dead_queue_url.rpartition("/")[2]
    dead_submission["Records"] = [
        dead_submission["Records"][0]
        | {
            "messageId": DEAD,
            "messageAttributes": {},
            "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{queue}",
        }
    ]
    answers = call("reaper", env, doorbell, dead_submission, event("schedule"))
    assert answers[:2] == [{"batchItemFailures": []}] * 2
    assert "batchItemFailures" not in answers[2]
    assert sorted(rings(aws, provisioned)) == sorted([GOOD, DEAD])
    assert job(aws, provisioned, DEAD)["status"]["S"] == "queued"


def test_a_ring_sends_a_webhook_and_the_next_try_is_rung_for(
    aws: Aws, provisioned: Provisioned, env: dict[str, str]
) -> None:
    with receiving() as receiver:
        receiver.codes = [500]
        told = env | ALLOWED | {"COMFYQ_WEBHOOKS_QUEUE_URL": provisioned.webhooks_queue_url}
        asked = {"prompt": "a fox", "webhook_url": receiver.url, "webhook_events": ["queued"]}
        submissions = event("submissions")
        submissions["Records"] = [submissions["Records"][0] | {"body": json.dumps(asked)}]
        call("intake", told, submissions)
        [ring] = bodies(aws, provisioned.webhooks_queue_url, wait_s=0)
        unreadable = submissions["Records"][0] | {"body": "no ring"}
        rung = {"Records": [submissions["Records"][0] | {"body": ring}, unreadable]}
        assert call("webhooks", told, rung) == [{"batchItemFailures": []}]
        [first] = receiver.received
        assert first.event["data"]["id"] == GOOD
        [again] = bodies(aws, provisioned.webhooks_queue_url, wait_s=10)
        assert again == ring
        call("webhooks", told, rung)
    assert [each.id for each in receiver.received] == [first.id] * 2


@pytest.mark.verify
def test_a_frame_that_the_api_has_put_off_is_posted_by_the_function_of_webhooks(
    aws: Aws, provisioned: Provisioned, env: dict[str, str]
) -> None:
    """The API's process stands still once it has answered."""
    queue_url = provisioned.webhooks_queue_url
    told = env | {"COMFYQ_WEBHOOKS_QUEUE_URL": queue_url, "COMFYQ_AUTH": "none"}
    with receiving() as sockets:
        job_ids = asyncio.run(_followed_batch(told, sockets.url.partition("/hook")[0]))
        cancels = []
        for job_id in job_ids[:-1]:  # within the pause of the first one's frame, mostly
            cancel = json.loads((EVENTS.parent / "apigw/cancel.json").read_text(encoding="utf-8"))
            cancel["rawPath"] = cancel["requestContext"]["http"]["path"] = f"/generate/{job_id}"
            cancels.append(cancel)
        assert {each["statusCode"] for each in call("api", told, *cancels)} == {202}
        posted = len(sockets.received)
        asked = bodies(aws, queue_url, wait_s=10)[-1]
        record = event("submissions")["Records"][0] | {"body": asked}
        assert call("webhooks", told, {"Records": [record]}) == [{"batchItemFailures": []}]
        assert len(sockets.received) == posted + 1
        assert sockets.received[-1].event["counts"]["canceled"] == len(cancels)


async def _followed_batch(env: dict[str, str], endpoint: str) -> list[JobId]:
    """Store a batch that a socket at an @connections API follows."""
    settings = read_settings(env)
    services = Services(settings, open_ports(settings))
    asked = [Request(workflow="flux-dev", values={"prompt": f"fox {n}"}) for n in range(5)]
    made = await services.batch_submission.submit(OWNER, asked, digest="d")
    job_ids = [each.job.id for each in made.jobs.values()]
    socket = Subscription(Connection("c1=", endpoint), "", batch=made.batch.id)
    now_s = int(services.ports.clock.now().timestamp())
    await services.followers.add_batch(job_ids, socket, now_s=now_s)
    return job_ids


def bodies(aws: Aws, queue_url: str, *, wait_s: int) -> list[str]:
    messages = aws.sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_s
    ).get("Messages", [])
    return [message["Body"] for message in messages]
