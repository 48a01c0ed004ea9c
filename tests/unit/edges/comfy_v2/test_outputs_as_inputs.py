"""Outputs of jobs that later jobs take as their files, by ``core/ASSET`` and by ``asset:ID``."""

from functools import partial
from typing import Any

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.files.output import OutputKind
from comfyq.domain.job import JobId, JobStatus
from comfyq.testing.memory.assets import StoredObject
from tests.access_lab import OTHER, AccessLab
from tests.api_lab import ApiLab, output
from tests.comfy_lab import ASSETS, GRAPH, JOBS, told_error

pytestmark = pytest.mark.anyio

LARGE = output("b.png", size=1_001)  # over what the lab takes
SOUGHT_AFTER_S = 301  # since whoever submits may not have stored its job for so long


def loading(asset_id: str) -> dict[str, Any]:
    reference = {"__type": "core/ASSET", "info": {"id": asset_id}}
    return {"workflow": GRAPH | {"4": {"class_type": "LoadImage", "inputs": {"image": reference}}}}


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab(COMFYQ_INPUT_MAX_BYTES=1_000, COMFYQ_RETENTION_S=600)


async def made(lab: ApiLab, *outputs: Any) -> list[str]:
    """Return the id of a new job, and those of its outputs."""
    job_id = lab.client.post(JOBS, json={"workflow": GRAPH}).json()["id"]
    await lab.succeed(job_id, *(outputs or (output(),)))
    lab.assets.stored[output().key] = StoredObject(b"pixels", "image/png")
    shown = lab.client.get(f"{JOBS}/{job_id}").json()["outputs"]
    return [job_id, *(each["id"] for each in shown)]


def purged(lab: ApiLab, job_id: str) -> int:
    return lab.client.delete(f"/generate/{job_id}?purge=true").status_code


async def test_an_output_is_a_later_jobs_file(lab: ApiLab) -> None:
    _, asset_id = await made(lab)
    later = lab.client.post(JOBS, json=loading(asset_id))
    assert later.status_code == 201, later.text
    [file] = (await lab.records.spec(later.json()["id"])).inputs
    assert (file.source, file.blake3) == (f"asset:{asset_id}", output().blake3)
    shown = lab.client.get(f"{JOBS}/{later.json()['id']}/workflow").json()["workflow"]
    assert lab.client.post(JOBS, json={"workflow": shown}).status_code == 201, "as it is shown"
    assert lab.assets.stored.keys() == {output().key}, "nothing is copied"


async def test_so_is_one_of_a_batchs_jobs_and_for_shipped_workflows(lab: ApiLab) -> None:
    """Their ids have no room for places of outputs, which stand behind a point."""
    batch = lab.client.post("/generate/batch", json={"requests": [{"prompt": "a fox"}]}).json()
    first = batch["items"][0]["job"]["id"]
    await lab.succeed(first, output())
    [shown] = lab.client.get(f"{JOBS}/{first}").json()["outputs"]
    assert lab.client.post(JOBS, json=loading(shown["id"])).status_code == 201
    values = {"workflow": "sd15-img2img", "image": f"asset:{shown['id']}"}
    later = lab.submit(**values)["id"]
    [file] = (await lab.records.spec(JobId(later))).inputs
    assert file.source == f"asset:{shown['id']}"
    assert purged(lab, first) == 409


async def test_what_is_no_file_of_the_caller_is_a_missing_asset(lab: ApiLab) -> None:
    text = output("t", kind=OutputKind.TEXT)
    text = type(text)(**{name: getattr(text, name) for name in text.__slots__} | {"key": ""})
    job_id, picture, words, large = await made(lab, output(), text, LARGE)
    waiting = lab.client.post(JOBS, json={"workflow": GRAPH}).json()["id"]
    for absent in (words, job_id, f"{picture[:-4]}ffff", f"{waiting[:-4]}0001", f"{job_id}.99"):
        refused = lab.client.post(JOBS, json=loading(absent))
        assert told_error(refused) == (422, "missing_asset"), absent
    refused = lab.client.post(JOBS, json=loading(large))
    assert told_error(refused) == (422, "invalid_workflow")
    assert "COMFYQ_INPUT_MAX_BYTES" in refused.text


async def test_so_is_another_tenants_output() -> None:
    lab = AccessLab()
    own, other = await lab.key(), await lab.key(tenant=OTHER)
    job_id = lab.ask("POST", JOBS, own, json={"workflow": GRAPH}).json()["id"]
    await lab.succeed(job_id, output())
    [theirs] = lab.ask("GET", f"{JOBS}/{job_id}", own).json()["outputs"]
    refused = lab.ask("POST", JOBS, other, json=loading(theirs["id"]))
    assert told_error(refused) == (422, "missing_asset")
    assert lab.ask("POST", JOBS, own, json=loading(theirs["id"])).status_code == 201


@pytest.mark.parametrize("ending", [jobs.confirm_cancel, jobs.succeed])
async def test_a_job_is_kept_while_another_needs_its_output(lab: ApiLab, ending: Any) -> None:
    """From its owner, and from the reaper when its time is up."""
    first, asset_id = await made(lab)
    later = lab.client.post(JOBS, json=loading(asset_id)).json()["id"]
    refused = lab.client.delete(f"/generate/{first}?purge=true")
    assert (refused.status_code, later in refused.json()["detail"]) == (409, True)
    assert lab.client.get(f"{ASSETS}/{asset_id}/content").content == b"pixels"
    for _ in range(2):
        lab.clock.advance(601)  # over the retention
        assert (await lab.reaper.reap())["deleted"] == 0
    again = lab.client.post(JOBS, json=loading(asset_id)).json()["id"]
    assert (await lab.records.get(JobId(first))).status is JobStatus.SUCCEEDED
    for each in (later, again):
        if not (await lab.records.get(JobId(each))).status.terminal:
            await lab.start(each)
            await lab.change(each, jobs.request_cancel)
            await lab.change(each, partial(ending, token=1))
    assert purged(lab, first) == 200
    assert lab.assets.stored == {}
    refused = lab.client.post(JOBS, json=loading(asset_id))
    assert told_error(refused) == (422, "missing_asset")


async def test_a_refused_submission_keeps_nothing(lab: ApiLab) -> None:
    """Only for as long as it might have been stored after all."""
    first, asset_id, large = await made(lab, output(), LARGE)
    graph = loading(asset_id)
    graph["workflow"]["5"] = loading(large)["workflow"]["4"]
    assert told_error(lab.client.post(JOBS, json=graph)) == (422, "invalid_workflow")
    assert purged(lab, first) == 409
    lab.clock.advance(SOUGHT_AFTER_S)
    assert purged(lab, first) == 200


async def test_a_job_that_is_about_to_be_deleted_lends_nothing(lab: ApiLab) -> None:
    first, asset_id = await made(lab)
    await lab.services.announcer.announce_end(await lab.records.get(JobId(first)))
    await lab.change(first, jobs.condemn)  # whoever deletes it may have looked for others
    refused = lab.client.post(JOBS, json=loading(asset_id))
    assert told_error(refused) == (422, "missing_asset")
    assert [each async for each in lab.services.reusers.of(JobId(first))] == []
