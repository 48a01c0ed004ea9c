"""Everything that a deployment does, so that each right is needed once.

Each step asserts what it was for: a path that was not taken would leave a right out.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.adapters.filesystem.journal import FileJournal
from comfyq.bootstrap.services import Services
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.errors import AssetsUnavailable
from comfyq.domain.job import Job, JobId, JobStatus, WorkerId
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.request import Request
from comfyq.domain.submission.spec import Spec
from comfyq.ports.notifier import Connection
from comfyq.ports.table import Delete
from comfyq.records.catalogues import CatalogueRecords, Published
from comfyq.records.subscriptions import Subscription
from comfyq.records.workers import WorkerState
from infra.checks.calls import Right
from tests.infra import ending, files, webhooks
from tests.infra.deployment import (
    GONE,
    PRESENT,
    THROTTLED,
    Deployment,
    authorization,
    submission,
)

HOUR = timedelta(hours=1)
MULTIPART_BYTES = 9 * 1024 * 1024  # boto3 sends more than 8 MB in parts
DEADLINE_S = 20
FORMER = WorkerId("former")
CONNECTIONS = Right("execute-api:ManageConnections", "${WebSocketApi}/${Stage}/POST/@connections/*")
JSON = {"content-type": "application/json"}  # and no idempotency key
A_BATCH = json.dumps({"requests": [{"prompt": "a fox"}, {"prompt": 7}]})


def play(deployment: Deployment) -> None:
    done = _a_picture(deployment)
    _its_links(deployment, done)
    _a_cancel(deployment)
    _a_cancel_during_the_upload(deployment)
    _a_large_upload_that_breaks_off(deployment)
    _a_job_without_a_doorbell(deployment)
    _another_family_waits(deployment)
    _a_batch(deployment)
    _a_followed_batch(deployment)
    _a_reuse(deployment)
    _a_deletion(deployment)
    files.play(deployment)
    _keys_and_sockets(deployment)
    _a_socket_that_takes_no_frames(deployment)
    webhooks.play(deployment)
    _submissions_by_queue(deployment)
    _dead_letters(deployment)
    _old_catalogues(deployment)
    _what_was_cut_off(deployment)
    _a_changed_reason(deployment)
    _what_is_old(deployment, done)
    ending.play(deployment)


def _a_picture(deployment: Deployment) -> str:
    """Submitted twice, followed by two of whom one is gone, rendered.

    It takes seconds, so that its message is hidden for longer.
    """
    with deployment.role("ApiRole"):
        api = deployment.api()
        job_id = api.submit("a")
        assert api.submit("a") == job_id
        assert "no worker" in api("health")["body"]
        assert "comfyq_jobs_waiting" in api("show", "/metrics")["body"]
        assert api("list")["statusCode"] == 200
        assert api("list", "/generate?limit=2")["statusCode"] == 200
        assert api("show", f"/generate/{job_id}")["statusCode"] == 200
    _follow(deployment, job_id)
    with deployment.role("WorkerPolicy"):
        deployment.work(_reached(job_id, JobStatus.SUCCEEDED), COMFYQ_RETENTION_S=0, step_s=1.5)
    return job_id


def _its_links(deployment: Deployment, job_id: str) -> None:
    _follow(deployment, job_id, leave=True)
    with deployment.role("ApiRole"):
        api = deployment.api()
        shown = json.loads(api("show", f"/generate/{job_id}")["body"])
        link = urlsplit(shown["image_url"])
        answer = api("show", f"{link.path}?{link.query}")
        assert answer["statusCode"] == 302
        story = api("show", f"/generate/{job_id}/story")
        assert len(json.loads(story["body"])["attempts"]) == 1


def _a_cancel(deployment: Deployment) -> None:
    with deployment.role("ApiRole"):
        job_id = deployment.api().submit("b")
    _follow(deployment, job_id)
    with deployment.role("ApiRole"):
        waiting = deployment.api()("show", f"/generate/{job_id}")
        assert json.loads(waiting["body"])["queue_position"] is not None
        answer = deployment.api()("cancel", f"/generate/{job_id}")
        assert json.loads(answer["body"])["status"] == "canceled"


def _a_cancel_during_the_upload(deployment: Deployment) -> None:
    """The worker sees it only when it stores its outcome: it throws the picture away."""
    with deployment.role("ApiRole"):
        job_id = deployment.api().submit("c")
    uploading, canceled = Event(), Event()

    def upload() -> None:
        uploading.set()
        canceled.wait(DEADLINE_S)

    async def ended(services: Services) -> bool:
        # The worker uploads its catalogue as well, maybe before it has the job.
        is_running = await _reached(job_id, JobStatus.RUNNING)(services)
        if uploading.is_set() and is_running and not canceled.is_set():
            await services.cancellation.cancel(OWNER, JobId(job_id))
            canceled.set()
        return await _reached(job_id, JobStatus.CANCELED)(services)

    with deployment.role("WorkerPolicy") as overhearing:
        overhearing.faults["PutObject"] = upload
        deployment.work(ended, COMFYQ_WATCH_S=60)
        assert overhearing.recording.calls["s3:DeleteObject"] == 1


def _a_large_upload_that_breaks_off(deployment: Deployment) -> None:
    picture = deployment.settings.data_dir / "large"
    picture.write_bytes(b"x" * MULTIPART_BYTES)

    async def put() -> None:
        assets = deployment.services().ports.assets
        await assets.put("outputs/a/1/0-large", picture, content_type="image/png")

    with deployment.role("WorkerPolicy") as overhearing:
        asyncio.run(put())
        overhearing.faults["UploadPart"] = lambda: 400
        with pytest.raises(AssetsUnavailable):
            asyncio.run(put())
        assert overhearing.recording.calls["s3:AbortMultipartUpload"] == 1


def _a_job_without_a_doorbell(deployment: Deployment) -> None:
    """A worker dies; started again it goes on with its job, is stopped, and rings for it anew."""
    with deployment.role("ApiRole"):
        job_id = deployment.api().submit("d", steps=40)
    asyncio.run(_leave_behind(deployment.services(), job_id))
    with deployment.role("WorkerPolicy") as overhearing:
        deployment.work(
            _reached(job_id, JobStatus.RUNNING),
            COMFYQ_WORKER_ID=FORMER,
            COMFYQ_DRAIN_S=0,
            step_s=1.0,
        )
        assert overhearing.recording.calls["sqs:SendMessage"] == 1
    asyncio.run(_cancel(deployment.services(), job_id))


def _another_family_waits(deployment: Deployment) -> None:
    """A worker that has models loaded looks for jobs that suit them."""
    with deployment.role("ApiRole"):
        job_id = deployment.api().submit("e")
    other = asyncio.run(_create(deployment.services(), family="other"))

    async def looked(services: Services) -> bool:
        chosen = any("ready" in right.resource for right in overhearing.recording.rights)
        return chosen and await _reached(job_id, JobStatus.SUCCEEDED)(services)

    with deployment.role("WorkerPolicy") as overhearing:
        deployment.work(looked)
    asyncio.run(_cancel(deployment.services(), other.id))


def _a_batch(deployment: Deployment) -> None:
    with deployment.role("ApiRole"):
        api = deployment.api()
        body = json.dumps({"requests": [{"prompt": f"a fox, {n}"} for n in range(3)]})
        made = api("generate", "/generate/batch", body=body)
        assert made["statusCode"] == 202, made["body"]
        batch_id = json.loads(made["body"])["batch_id"]
        assert api("show", f"/generate/batch/{batch_id}")["statusCode"] == 200
        assert api("cancel", f"/generate/batch/{batch_id}")["statusCode"] == 202
        assert batch_id in api("list", "/generate/batch")["body"]
        url = f"/generate/batch/{batch_id}/retry"
        again = api("generate", url, body="{}", headers=JSON)
        assert again["statusCode"] == 202, again["body"]
        batch_id = json.loads(again["body"])["batch_id"]
        assert api("cancel", f"/generate/batch/{batch_id}")["statusCode"] == 202


def _a_followed_batch(deployment: Deployment) -> None:
    """One of its jobs is canceled and tried again, of which others are told later; a worker ends
    all of it."""
    with deployment.role("ApiRole"):
        body = json.dumps({"requests": [{"prompt": f"a hare, {n}"} for n in range(2)]})
        answer = deployment.api()("generate", "/generate/batch", body=body, headers=JSON)
        made = json.loads(answer["body"])
        canceled, other = (item["job"]["id"] for item in made["items"])
    with deployment.role("WebSocketRole"):
        send = deployment.websocket()
        assert send("connect", PRESENT, queryStringParameters=None)["statusCode"] == 200
        body = json.dumps({"action": "subscribe", "batch_id": made["batch_id"]})
        assert send("subscribe", PRESENT, body=body)["statusCode"] == 200
    with deployment.role("ApiRole") as overhearing:
        api = deployment.api()
        assert api("cancel", f"/generate/{canceled}")["statusCode"] == 202
        again = api("generate", f"/generate/{canceled}/retry", body="{}", headers=JSON)
        assert again["statusCode"] == 202, again["body"]
        assert Right("dynamodb:PutItem", "${Table.Arn}", "CONN#*") in overhearing.recording.rights
    _follow_batch_unseen(deployment.services(), made["batch_id"], other)
    with deployment.role("WebhookRole") as overhearing:
        assert deployment.tell_late(made["batch_id"], other) == {"batchItemFailures": []}
        assert overhearing.recording.rights[CONNECTIONS] == 2
    with deployment.role("WorkerPolicy") as overhearing:
        for job_id in (other, json.loads(again["body"])["id"]):
            deployment.work(_reached(job_id, JobStatus.SUCCEEDED))
        assert Right("dynamodb:Query", "${Table.Arn}", "BATCH#*") in overhearing.recording.rights
    with deployment.role("WebSocketRole"):
        assert deployment.websocket()("disconnect", PRESENT)["statusCode"] == 200


def _a_reuse(deployment: Deployment) -> None:
    """A job that may reuse results finds none, is rendered, and is then what others reuse."""
    asked = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2, "seed": 7, "reuse": True}
    body = json.dumps(asked)
    with deployment.role("ApiRole"):
        first = deployment.api().submit("r1", seed=7, reuse=True)
    with deployment.role("WorkerPolicy"):
        deployment.work(_reached(first, JobStatus.SUCCEEDED))
    with deployment.role("ApiRole"):
        headers = {"content-type": "application/json"}  # and no idempotency key
        answer = deployment.api()("generate", body=body, headers=headers)
        assert json.loads(answer["body"])["status"] == "completed", answer["body"]
    with deployment.role("IntakeRole"):
        assert deployment.take(submission(body)) == {"batchItemFailures": []}
    with deployment.role("ReaperRole"):
        of = str(deployment.settings.aws.submissions_dead_queue_url)
        assert deployment.reap(deployment.dead(body, of=of)) == {"batchItemFailures": []}


def _a_deletion(deployment: Deployment) -> None:
    """Whose job it is deletes it with its picture."""
    with deployment.role("ApiRole"):
        job_id = deployment.api().submit("p")
    with deployment.role("WorkerPolicy"):
        deployment.work(_reached(job_id, JobStatus.SUCCEEDED))
    with deployment.role("ApiRole"):
        api = deployment.api()
        assert api("cancel", f"/generate/{job_id}?purge=true")["statusCode"] == 200
        assert api("show", f"/generate/{job_id}")["statusCode"] == 404


def _keys_and_sockets(deployment: Deployment) -> None:
    """Keys are made, let in by header and by ticket, and end with their sockets."""
    json_type = {"content-type": "application/json"}
    with deployment.role("ApiRole"):
        api = deployment.api()
        made = api("generate", "/keys", body='{"name": "b"}', headers=json_type)
        key = json.loads(made["body"])
        assert key["id"] in api("list", "/keys")["body"]
        assert json.loads(api("list", "/quota")["body"])["jobs_per_day"]["used"] > 0
        assert "assets" in json.loads(api("list", "/assets")["body"])
        assert key["id"] in api("list", "/audit")["body"]
        kept = api.put("/tenants/default", '{"retention_s": 3600}')
        assert (kept["statusCode"], kept["body"]) == (200, api("list", "/tenants/default")["body"])
        ticket = api("generate", "/ws-ticket", body="{}", headers=json_type)
        query = {"ticket": json.loads(ticket["body"])["ticket"]}
    with deployment.role("WebSocketRole"):
        send = deployment.websocket()
        by_ticket = send("connect", "ticketed", queryStringParameters=query, headers={})
        assert by_ticket["statusCode"] == 200
        again = send("connect", "again", queryStringParameters=query, headers={})
        assert again["statusCode"] == 401
        headers = authorization(key["key"])
        by_key = send("connect", "keyed", queryStringParameters=None, headers=headers)
        assert by_key["statusCode"] == 200, by_key
    with deployment.role("ApiRole") as overhearing:
        assert deployment.api()("cancel", f"/keys/{key['id']}")["statusCode"] == 200
        assert overhearing.recording.calls["apigatewaymanagementapi:DeleteConnection"] == 1
    asyncio.run(_connect_expired(deployment.services()))
    with deployment.role("ReaperRole"):
        assert deployment.reap()["closed"] == 1


def _a_socket_that_takes_no_frames(deployment: Deployment) -> None:
    """It is ended, so that its client comes again."""
    with deployment.role("ApiRole"):
        job_id = deployment.api().submit("throttled")
    with deployment.role("WebSocketRole") as overhearing:
        send = deployment.websocket()
        assert send("connect", THROTTLED, queryStringParameters=None)["statusCode"] == 200
        body = json.dumps({"action": "subscribe", "job_id": job_id})
        assert send("subscribe", THROTTLED, body=body)["statusCode"] == 200
        assert overhearing.recording.calls["apigatewaymanagementapi:DeleteConnection"] == 1
        assert send("disconnect", THROTTLED)["statusCode"] == 200
    with deployment.role("ApiRole"):
        assert deployment.api()("cancel", f"/generate/{job_id}")["statusCode"] == 202


async def _connect_expired(services: Services) -> None:
    """Store a socket of a key that has expired since, and a job that it follows."""
    now = services.ports.clock.now()
    caller = replace(OWNER, key="0" * 16, until=now - HOUR)
    connection = Connection("expired", "https://sockets.example/live")
    now_s = int(now.timestamp())
    await services.followers.connect(connection, caller, base_url="", now_s=now_s)
    await services.followers.add(JobId(str(uuid4())), Subscription(connection, ""), now_s=now_s)


def _submissions_by_queue(deployment: Deployment) -> None:
    """One that is sent twice, one that cannot be run, and a batch that is sent twice."""
    asyncio.run(_forget_secret(deployment.services()))
    good, bad = json.dumps({"prompt": "a fox"}), json.dumps({"prompt": 7, "width": "wide"})
    with deployment.role("IntakeRole"):
        taken = deployment.take(
            submission(good, idempotency_key="q"),
            submission(good, idempotency_key="q"),
            submission(bad),
        )
        batch = submission(A_BATCH)
        again = [deployment.take(batch) for _ in range(2)]
    assert [taken, *again] == [{"batchItemFailures": []}] * 3


def _dead_letters(deployment: Deployment) -> None:
    settings = deployment.settings
    waiting = asyncio.run(_create(deployment.services()))
    doorbell = json.dumps({"job_id": waiting.id})
    asyncio.run(_forget_secret(deployment.services()))
    dead_url = str(settings.aws.queue_url).replace("jobs-queue", "jobs-dead-letters")
    with deployment.role("ReaperRole"):
        answer = deployment.reap(
            deployment.dead(doorbell, of=dead_url),
            deployment.dead("no JSON", of=str(settings.aws.submissions_dead_queue_url)),
            deployment.dead('{"prompt": "a fox"}', of=str(settings.aws.submissions_dead_queue_url)),
        )
        batch = deployment.dead(A_BATCH, of=str(settings.aws.submissions_dead_queue_url))
        assert [deployment.reap(batch) for _ in range(2)] == [answer] * 2
    assert answer == {"batchItemFailures": []}
    with deployment.role("ApiRole"):
        api = deployment.api()
        letters = json.loads(api("list", "/dead")["body"])["letters"]
        assert len(letters) >= 3
        for letter in letters:
            again = api("generate", f"/dead/{letter['id']}/redrive", body="{}")
            assert again["statusCode"] == 200, again["body"]
    asyncio.run(_cancel(deployment.services(), waiting.id))


def _old_catalogues(deployment: Deployment) -> None:
    """A worker deletes what no worker has named for a month."""
    earlier = deployment.services_of(ago=timedelta(days=40))
    old = Published("0" * 64, earlier.ports.clock.now())
    asyncio.run(CatalogueRecords(earlier.ports.table).note(old))
    with deployment.role("ApiRole"):
        job_id = deployment.api().submit("f")
    with deployment.role("WorkerPolicy") as overhearing:
        deployment.work_without_limit(_reached(job_id, JobStatus.SUCCEEDED))
    catalogues = Right("s3:DeleteObject", "${Bucket.Arn}/catalogues/*")
    assert overhearing.recording.rights[catalogues] == 1


def _what_was_cut_off(deployment: Deployment) -> None:
    """A doorbell that was never rung, an end that nobody was told of, and a batch of which nothing
    but the mark was canceled."""
    earlier = deployment.services_of(ago=HOUR)
    silent = asyncio.run(_create(earlier))
    untold = asyncio.run(_end_silently(earlier))
    asyncio.run(_begin_canceling(earlier))
    _follow(deployment, untold.id)
    with deployment.role("ReaperRole"):
        done = deployment.reap()
    assert done["rung"]
    assert done["announced"]
    assert done["batches_canceled"] == 1
    asyncio.run(_cancel(deployment.services(), silent.id))


def _a_changed_reason(deployment: Deployment) -> None:
    """Followers of a waiting job hear that there is no worker, and then that there is one."""
    services = deployment.services()
    waiting = asyncio.run(_create(services))
    _follow(deployment, waiting.id)
    with deployment.role("ReaperRole") as overhearing:
        for number in (1, 2):
            deployment.reap()
            assert overhearing.recording.rights[CONNECTIONS] >= number
            asyncio.run(_beat(services))
    _follow(deployment, waiting.id)
    with deployment.role("ApiRole"):
        shown = json.loads(deployment.api()("show", f"/generate/{waiting.id}")["body"])
        assert shown["waits_for"] is None, "so its end may be estimated, from run times"
    asyncio.run(services.workers.end(FORMER))
    asyncio.run(_cancel(services, waiting.id))


async def _beat(services: Services) -> None:
    now = services.ports.clock.now()
    state = WorkerState(
        id=FORMER, pid=1, host="h", version="1", engine_ok=True, seen_at=now, started_at=now
    )
    await services.workers.beat(state, ttl_s=60)


def _what_is_old(deployment: Deployment, job_id: str) -> None:
    with deployment.role("ReaperRole") as overhearing:
        deployment.reap()
        assert overhearing.recording.calls["s3:DeleteObject"] >= 1
    with deployment.role("ApiRole"):
        assert deployment.api()("show", f"/generate/{job_id}")["statusCode"] == 404


def _follow(deployment: Deployment, job_id: str, *, leave: bool = False) -> None:
    with deployment.role("WebSocketRole"):
        send = deployment.websocket()
        body = json.dumps({"action": "subscribe", "job_id": job_id})
        for connection in (PRESENT, GONE):
            query = {"queryStringParameters": {"job_id": job_id}}
            assert send("connect", connection, **query)["statusCode"] == 200
            assert send("subscribe", connection, body=body)["statusCode"] == 200
        send("default", PRESENT)
        # The last post found GONE gone, so it follows nothing now.
        asyncio.run(_follow_unseen(deployment.services(), job_id))
        if leave:
            assert send("disconnect", PRESENT)["statusCode"] == 200


async def _follow_unseen(services: Services, job_id: str) -> None:
    known = await services.followers.caller(GONE)
    assert known is not None
    now_s = int(services.ports.clock.now().timestamp())
    await services.followers.add(JobId(job_id), known[1], now_s=now_s)


def _follow_batch_unseen(services: Services, batch_id: str, job_id: str) -> None:
    """Let a socket that is gone follow a batch, which nobody has noticed."""
    connection = Connection(GONE, "https://sockets.example/live")
    follower = Subscription(connection, "", batch=BatchId(batch_id))
    now_s = int(services.ports.clock.now().timestamp())
    asyncio.run(services.followers.add_batch([JobId(job_id)], follower, now_s=now_s))


async def _begin_canceling(services: Services) -> None:
    asked = [Request(workflow="flux-dev", values={"prompt": "a fox"})]
    accepted = await services.batch_submission.submit(OWNER, asked, digest="d")
    await services.batch_records.cancel(accepted.batch, at=services.ports.clock.now())


async def _forget_secret(services: Services) -> None:
    """Whoever makes the first job of a deployment makes the secret of its links."""
    await services.ports.table.write(Delete(("SECRET#links", "-")))


async def _create(services: Services, *, family: str = "any") -> Job:
    """A job that nobody has rung for."""
    job = jobs.submitted(
        id=JobId(str(uuid4())),
        tenant=DEFAULT_TENANT,
        workflow="flux-dev",
        family=family,
        created_at=services.ports.clock.now(),
    )
    await services.records.create(job, Spec(graph={}, parameters={}))
    await services.demand.note(job)
    return job


async def _end_silently(services: Services) -> Job:
    job = await _create(services)
    ended = jobs.request_cancel(job, now=services.ports.clock.now())
    await services.records.save(ended)
    return ended


async def _leave_behind(services: Services, job_id: str) -> None:
    """Leave what a killed worker leaves: its lease in the table, its note on the disk."""
    job = await services.records.get(JobId(job_id))
    now = services.ports.clock.now()
    await services.records.save(jobs.claim(job, worker=FORMER, now=now, ttl=HOUR))
    folder: Path = services.settings.data_dir / "workers" / FORMER
    folder.mkdir(parents=True, exist_ok=True)
    await FileJournal(path=folder / "claims").note(job.id)


async def _cancel(services: Services, job_id: str) -> None:
    await services.cancellation.cancel(OWNER, JobId(job_id))


def _reached(job_id: str, status: JobStatus) -> Callable[[Services], Awaitable[bool]]:
    async def look(services: Services) -> bool:
        return (await services.records.get(JobId(job_id))).status is status

    return look
