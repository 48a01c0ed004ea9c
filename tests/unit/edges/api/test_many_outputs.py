"""Answers about jobs with thousands of outputs: none is too large, every output can be reached."""

import json
from typing import Any

import pytest

from comfyq.domain.files.output import MAX_OUTPUTS
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio

MOST_BYTES = 6 * 1024 * 1024  # of a function's answer, which is text within JSON


@pytest.fixture
def lab() -> ApiLab:
    return ApiLab()


def ask(lab: ApiLab, url: str) -> Any:
    answer = lab.client.get(url)
    assert answer.status_code == 200, answer.text[:500]
    assert len(json.dumps(answer.text)) < MOST_BYTES
    return answer.json()


def all_of(lab: ApiLab, shown: dict[str, Any]) -> list[int]:
    """Indexes of the outputs that a job shows and of those that it leads to."""
    indexes = [each["index"] for each in shown["outputs"]]
    while shown["more_outputs"]:
        shown = ask(lab, shown["more_outputs"])
        assert shown["outputs"]
        indexes += [each["index"] for each in shown["outputs"]]
    return indexes


async def test_a_job_shows_all_of_its_outputs(lab: ApiLab) -> None:
    job = lab.submit()
    outputs = [output(f"ComfyUI_{index:05d}_.png") for index in range(MAX_OUTPUTS)]
    await lab.succeed(job["id"], *outputs)
    shown = ask(lab, job["urls"]["self"])
    assert [each["filename"] for each in shown["outputs"]] == [each.filename for each in outputs]
    assert shown["more_outputs"] is None


async def test_what_has_no_room_is_listed_elsewhere(lab: ApiLab) -> None:
    job = lab.submit()
    outputs = [output(f'"{"ñ" * 100}{index}.png') for index in range(MAX_OUTPUTS)]
    await lab.succeed(job["id"], *outputs)
    for url in (job["urls"]["self"], f"{job['urls']['self']}/story"):
        shown = ask(lab, url)
        assert len(shown["outputs"]) < MAX_OUTPUTS
        assert all_of(lab, shown) == list(range(MAX_OUTPUTS))
    rest = ask(lab, f"{job['urls']['self']}/outputs?start=9999")
    assert [each["filename"] for each in rest["outputs"]] == [outputs[-1].filename]


@pytest.mark.parametrize("path", ["/generate", "/generate/batch/{batch}?items=true"])
async def test_many_such_jobs_show_the_first_of_each(lab: ApiLab, path: str) -> None:
    body = {"requests": [{"prompt": "a fox"}] * 5}
    batch = lab.client.post("/generate/batch", json=body).json()
    outputs = [output(f"ComfyUI_{index:05d}_.png") for index in range(2_500)]
    for item in batch["items"]:
        await lab.succeed(item["job"]["id"], *outputs)
    shown = ask(lab, path.format(batch=batch["batch_id"]))
    listed = [item["job"] for item in shown["items"]] if "items" in shown else shown["jobs"]
    assert len(listed) == 5
    for job in listed:
        assert job["image_url"] == job["outputs"][0]["url"]
        assert 500 < len(job["outputs"]) < 2_500
    assert all_of(lab, listed[0]) == list(range(2_500))


async def test_a_job_without_outputs_has_an_empty_list(lab: ApiLab) -> None:
    job = lab.submit()
    listed = ask(lab, f"{job['urls']['self']}/outputs")
    assert listed == {"outputs": [], "more_outputs": None}
    assert lab.client.get("/generate/unknown/outputs").status_code == 404
    assert lab.client.get(f"{job['urls']['self']}/outputs?start=10000").status_code == 422
