"""Files of clients in a deployment: a part of ``story``.

A file that two store at once is there twice for a moment; whoever comes second deletes its own.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

from PIL import Image

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.bootstrap.services import Services
from comfyq.domain.job import JobId, JobStatus
from comfyq.domain.job.output_id import output_id
from infra.checks.calls import Right
from tests.infra.deployment import Api, Deployment, submission
from tests.infra.recording import Overhearing

LONG_AGO = timedelta(days=60)
FILES = "${Bucket.Arn}/assets/*"
OUTPUTS = "${Bucket.Arn}/outputs/*"
PENDING = "${Bucket.Arn}/pending/*"
PNG = "image/png"


def play(deployment: Deployment) -> None:
    _an_upload(deployment)
    _an_upload_by_name(deployment)
    _a_submission_with_a_file(deployment)
    _a_dead_submission_with_a_file(deployment)
    _a_file_that_nobody_uses(deployment)
    _a_file_that_its_client_deletes(deployment)
    _an_upload_past_the_api(deployment)


def _an_upload(deployment: Deployment) -> None:
    """Stored twice at once, then used by a job, whose output is the next one's file."""
    file = _picture("red")
    rival = _Rival(deployment, file)
    with deployment.role("ApiRole") as overhearing, rival.before(overhearing):
        api = deployment.api()
        sent = {"body": b64encode(file).decode(), "headers": {"content-type": PNG}}
        stored = api("generate-base64", "/assets", **sent)
        assert stored["statusCode"] == 201, stored["body"]
        job_id = _submitted(api, json.loads(stored["body"])["id"])
    assert _deleted(overhearing) == 1
    with deployment.role("WorkerPolicy") as working:
        deployment.work(lambda services: _succeeded(services, job_id))
    assert working.recording.rights[Right("s3:GetObject", FILES)] == 1
    with deployment.role("ApiRole"):
        next_id = _submitted(deployment.api(), output_id(JobId(job_id), 0))
    with deployment.role("WorkerPolicy") as working:
        deployment.work(lambda services: _succeeded(services, next_id))
    assert working.recording.rights[Right("s3:GetObject", OUTPUTS)] == 1


def _submitted(api: Api, asset_id: str) -> str:
    """Return the id of a new job that takes a file."""
    request = json.dumps(_repainting(f"asset:{asset_id}"))
    accepted = api("generate", body=request, headers={"content-type": "application/json"})
    assert accepted["statusCode"] == 202, accepted["body"]
    job_id: str = json.loads(accepted["body"])["id"]
    return job_id


def _an_upload_by_name(deployment: Deployment) -> None:
    """Stored under a name of ComfyUI's API, stored anew, and loaded by a prompt of that API."""
    form = (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="fox.png"\r\n'
        b"Content-Type: image/png\r\n\r\n%s\r\n--x\r\n"
        b'Content-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n--x--\r\n'
    )
    with deployment.role("ApiRole"):
        api = deployment.api()
        for color in ("cyan", "purple"):
            body = b64encode(form % _picture(color)).decode()
            headers = {"content-type": "multipart/form-data; boundary=x"}
            stored = api("generate-base64", "/upload/image", body=body, headers=headers)
            assert stored["statusCode"] == 200, stored["body"]
        graph = {
            "1": {"class_type": "LoadImage", "inputs": {"image": "fox.png"}},
            "2": {
                "class_type": "SaveImage",
                "inputs": {"images": ["1", 0], "filename_prefix": "a"},
            },
        }
        request = json.dumps({"prompt": graph, "client_id": "a program"})
        headers = {"content-type": "application/json"}
        accepted = api("generate", "/prompt", body=request, headers=headers)
        assert accepted["statusCode"] == 200, accepted["body"]
    job_id = json.loads(accepted["body"])["prompt_id"]
    with deployment.role("WorkerPolicy"):
        deployment.work(lambda services: _succeeded(services, job_id))


def _a_submission_with_a_file(deployment: Deployment) -> None:
    file = _picture("green")
    event = submission(json.dumps(_repainting(_data_uri(file))))
    rival = _Rival(deployment, file)
    with deployment.role("IntakeRole") as overhearing, rival.before(overhearing):
        assert deployment.take(event) == {"batchItemFailures": []}
    assert _deleted(overhearing) == 1


def _a_dead_submission_with_a_file(deployment: Deployment) -> None:
    body = json.dumps(_repainting(_data_uri(_picture("blue"))))
    event = deployment.dead(body, of=str(deployment.settings.aws.submissions_dead_queue_url))
    with deployment.role("ReaperRole") as overhearing:
        assert deployment.reap(event) == {"batchItemFailures": []}
    assert overhearing.recording.rights[Right("s3:PutObject", FILES)] == 1


def _a_file_that_nobody_uses(deployment: Deployment) -> None:
    earlier = deployment.services_of(ago=LONG_AGO)
    asyncio.run(_store(earlier, _picture("black")))
    with deployment.role("ReaperRole") as overhearing:
        assert deployment.reap()["expired"] == 1
    assert _deleted(overhearing) == 1


def _a_file_that_its_client_deletes(deployment: Deployment) -> None:
    """Hidden by the API, and deleted by the reaper once no job can need it."""
    with deployment.role("ApiRole"):
        api = deployment.api()
        sent = {"body": b64encode(_picture("pink")).decode(), "headers": {"content-type": PNG}}
        stored = json.loads(_ask(api, "/assets", "generate-base64", **sent))
        hidden = api("cancel", f"/api/v2/assets/{stored['id']}")
        assert hidden["statusCode"] == 204, hidden["body"]
    earlier = deployment.services_of(ago=LONG_AGO)
    asyncio.run(_store_and_delete(earlier, _picture("grey")))
    with deployment.role("ReaperRole"):
        assert deployment.reap()["dropped"] == 1


async def _store_and_delete(services: Services, content: bytes) -> None:
    stored = await services.uploads.add(
        OWNER, _once(content), filename="a", content_type=PNG, needed_for=2 * LONG_AGO
    )
    await services.asset_deletion.delete(OWNER, stored.id)


def _an_upload_past_the_api(deployment: Deployment) -> None:
    """Sent to storage by its client."""
    file = _picture("white")
    announced = {"name": "a.png", "content_type": PNG, "size_bytes": len(file)}
    with deployment.role("ApiRole") as overhearing:
        api = deployment.api()
        body, headers = json.dumps(announced), {"content-type": "application/json"}
        offer = json.loads(_ask(api, "/assets/uploads", body=body, headers=headers))
        request = Request(offer["url"], file, offer["headers"], method="PUT")
        urlopen(request).close()
        stored = json.loads(_ask(api, urlsplit(offer["urls"]["complete"]).path))
    assert stored["size"] == len(file)
    assert overhearing.recording.rights[Right("s3:DeleteObject", PENDING)] == 1


def _ask(api: Api, path: str, name: str = "generate", **event: Any) -> str:
    answer = api(name, path, **event)
    assert answer["statusCode"] == 201, answer["body"]
    return str(answer["body"])


class _Rival:
    """Another request, which stores a file just before the one that is overheard."""

    def __init__(self, deployment: Deployment, file: bytes) -> None:
        self._file = file
        self._services = deployment.services()
        asyncio.run(_store(self._services, uuid4().bytes))  # makes clients that nobody overhears

    @contextmanager
    def before(self, overhearing: Overhearing) -> Iterator[None]:
        stored: list[bytes] = []

        def store() -> None:
            if not stored:
                stored.append(self._file)
                asyncio.run(_store(self._services, self._file))

        overhearing.faults["PutObject"] = store
        yield
        assert stored, "nobody stored anything"


async def _store(services: Services, content: bytes) -> None:
    await services.uploads.add(OWNER, _once(content), filename="a", content_type=PNG)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _succeeded(services: Services, job_id: str) -> bool:
    return (await services.records.get(JobId(job_id))).status is JobStatus.SUCCEEDED


def _deleted(overhearing: Overhearing) -> int:
    return overhearing.recording.rights[Right("s3:DeleteObject", FILES)]


def _repainting(image: str) -> dict[str, object]:
    return {"workflow": "sd15-img2img", "prompt": "a fox", "image": image, "steps": 2}


def _picture(color: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 64), color).save(buffer, "PNG")
    return buffer.getvalue()


def _data_uri(content: bytes) -> str:
    return f"data:{PNG};base64,{b64encode(content).decode()}"
