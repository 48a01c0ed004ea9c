"""Keys of partner nodes: from a client to the worker of its job, and to nobody and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from comfyq.adapters.encryption.aes_gcm import AesGcm
from comfyq.bootstrap import file_services
from comfyq.bootstrap.api import api_app
from comfyq.config import ApiSettings
from comfyq.domain.caller import Scope
from comfyq.domain.job import JobError, JobId, JobStatus
from comfyq.domain.submission.request import Request
from comfyq.ports.access.cipher import Cipher
from comfyq.ports.engine import PromptInterrupted, Started
from comfyq.services.access.partner_keys import PartnerKeys
from comfyq.services.jobs.idempotency import digest_of
from tests.api_lab import ApiLab, output
from tests.asgi_client import AsgiClient
from tests.comfy_lab import BODY, JOBS, told_error
from tests.fake_authenticator import with_scopes
from tests.farm import Farm
from tests.log_lines import logged
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio

KEY = "comfyui-s3cret-0123456789"
GRAPH: dict[str, Any] = {
    "3": {"class_type": "KSampler", "inputs": {"steps": 2}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "a"}},
}


def keyed(key: Any = KEY, **body: Any) -> dict[str, Any]:
    return {**BODY, "extra_data": {"api_key_comfy_org": key}, **body}


def stored(lab: ApiLab | Farm, job_id: str) -> list[str]:
    """Return the kinds of items that a job has."""
    return [sk for pk, sk in lab.table._items if pk == f"JOB#{job_id}"]


def farm_with_api() -> tuple[Farm, AsgiClient]:
    farm = Farm()
    farm.services.authenticator = with_scopes(Scope.SUBMIT, Scope.GRAPH, Scope.READ)
    return farm, AsgiClient(api_app(farm.services), base_url="http://lab:8000")


async def test_a_key_reaches_each_attempt_and_is_erased_by_the_end() -> None:
    farm, client = farm_with_api()
    with logged() as lines:
        sent = client.post(JOBS, json=keyed(workflow=GRAPH))
        assert sent.status_code == 201, sent.text
        job_id = sent.json()["id"]
        assert "PARTNER" in stored(farm, job_id)
        assert KEY not in str(farm.table._items), "it is encrypted"
        interrupted = ScriptedEngine(Started(), PromptInterrupted("by somebody"))
        engines = [interrupted, ScriptedEngine()]
        for engine in engines:
            await farm.worker("w1", engine).run_once()
        prompts = [prompt for engine in engines for prompt in engine.submitted]
        told = [sent] + [client.get(f"{JOBS}/{job_id}{rest}") for rest in ("", "/workflow")]
    assert [prompt.secrets for prompt in prompts] == [{"api_key_comfy_org": KEY}] * 2
    assert KEY not in str(prompts), "it is not among what may be logged"
    assert [each.status_code for each in told] == [201, 200, 200]
    assert told[1].json()["status"] == "succeeded"
    assert "PARTNER" not in stored(farm, job_id)
    assert '"seal"' not in farm.table._items[(f"JOB#{job_id}", "META")]
    for place in (*[each.text for each in told], str(lines), str(farm.table._items)):
        assert KEY not in place


async def test_every_other_end_erases_it_too() -> None:
    lab = ApiLab()

    def sent() -> str:
        job_id = lab.client.post(JOBS, json=keyed()).json()["id"]
        assert "PARTNER" in stored(lab, job_id)
        return str(job_id)

    failed, canceled, expired, purged = (sent() for _ in range(4))
    await lab.fail(failed, JobError("node-error", "it broke"))
    lab.client.post(f"{JOBS}/{canceled}/cancel")
    lab.client.delete(f"/generate/{purged}?purge=true")
    assert [
        job_id for job_id in (failed, canceled, purged) if "PARTNER" in stored(lab, job_id)
    ] == []
    assert "PARTNER" in stored(lab, expired), "it goes on"
    await lab.expire(expired)
    assert "PARTNER" not in stored(lab, expired)
    again = lab.client.post(f"/generate/{failed}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "not-retriable")
    assert "submit its graph once more" in again.json()["detail"]


async def test_a_job_without_a_key_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Cipher] = []

    def cipher_of(settings: ApiSettings) -> Cipher:
        made.append(real(settings))
        return made[-1]

    real = file_services.cipher_of
    monkeypatch.setattr(file_services, "cipher_of", cipher_of)
    lab = ApiLab()
    for body in (BODY, BODY | {"extra_data": {}}, BODY | {"extra_data": None}):
        job_id = lab.client.post(JOBS, json=body).json()["id"]
        job = await lab.succeed(job_id, output())
        assert job.partner_seal is None
        assert not (await lab.records.spec(JobId(job_id))).has_partner_key
        assert "PARTNER" not in stored(lab, job_id)
    assert made == [], "nor has its package been imported"
    assert lab.client.post(JOBS, json=keyed()).status_code == 201
    assert len(made) == 1


@pytest.mark.parametrize(
    "extra",
    [
        {"api_key_comfy_org": [KEY]},
        {"api_key_comfy_org": ""},
        {"api_key_comfy_org": f"{KEY}\n"},
        {"api_key_comfy_org": KEY * 99},
        {"auth_token_comfy_org": KEY},
        KEY,
    ],
    ids=["list", "empty", "line", "long", "another", "text"],
)
def test_what_is_no_such_key_is_refused_and_not_repeated(extra: Any) -> None:
    with logged() as lines:
        refused = ApiLab().client.post(JOBS, json=BODY | {"extra_data": extra})
    assert told_error(refused) == (422, "invalid_request")
    assert KEY not in refused.text + str(lines)


def test_it_is_no_part_of_what_a_key_of_idempotency_compares() -> None:
    lab, headers = ApiLab(), {"Idempotency-Key": "k"}
    bad = keyed(workflow={})
    assert told_error(lab.client.post(JOBS, json=bad, headers=headers))[0] == 422
    assert lab.client.post(JOBS, json=keyed(), headers=headers).status_code == 201
    again = lab.client.post(JOBS, json=keyed("another"), headers=headers)
    assert told_error(again) == (422, "idempotency_key_reuse"), "as every second use of a key is"
    first = Request(graph=GRAPH, partner_key=KEY)
    assert digest_of(first) == digest_of(replace(first, partner_key="another"))
    assert digest_of(first) != digest_of(replace(first, graph={}))


def with_other_secret(farm: Farm, job_id: str) -> None:
    own = farm.services.partner_keys
    farm.services.partner_keys = PartnerKeys(
        records=own._records, cipher=lambda: AesGcm(secret=b"another"), draw=own._draw
    )


def without_item(farm: Farm, job_id: str) -> None:
    del farm.table._items[(f"JOB#{job_id}", "PARTNER")]


@pytest.mark.parametrize("breaks", [with_other_secret, without_item])
async def test_a_key_that_a_worker_cannot_read_fails_the_job(
    breaks: Callable[[Farm, str], None],
) -> None:
    farm, client = farm_with_api()
    job_id = client.post(JOBS, json=keyed(workflow=GRAPH)).json()["id"]
    breaks(farm, job_id)
    worker = farm.worker("w1")
    await worker.run_once()
    job = await farm.records.get(JobId(job_id))
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.code == "partner-key-unreadable"
    assert worker.engine.submitted == []
    assert "PARTNER" not in stored(farm, job_id)
