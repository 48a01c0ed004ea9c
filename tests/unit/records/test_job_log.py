"""The lines of the log that tell of a job."""

from functools import partial
from typing import Any

import pytest

from comfyq.domain import job as jobs
from comfyq.domain.job import JobError, JobId
from tests.api_lab import ApiLab, output
from tests.log_lines import logged

pytestmark = pytest.mark.anyio

SECRET = "a fox that nobody may hear of"


@pytest.fixture(scope="module")
def lab() -> ApiLab:
    return ApiLab()


def told(lines: list[Any], job_id: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (line["event"], {name: line[name] for name in line if name not in ("event", "job")})
        for line in lines
        if line.get("job") == job_id and line["log_level"] == "info"
    ]


async def test_a_job_is_told_of_at_its_acceptance_start_and_end(lab: ApiLab) -> None:
    with logged() as lines:
        job_id = lab.submit(prompt=SECRET)["id"]
        lab.clock.advance(3)
        await lab.start(job_id)
        lab.clock.advance(4)
        job = await lab.records.get(JobId(job_id))
        succeed = partial(jobs.succeed, token=job.attempt)
        await lab.change(job_id, succeed, outputs=[output()])
    about = {"log_level": "info", "workflow": "flux-dev"}
    assert told(lines, job_id) == [
        ("job_accepted", about),
        ("job_started", about | {"attempt": 1, "waited_s": 3.0}),
        (
            "job_ended",
            about | {"status": "completed", "attempts": 1, "waited_s": 3.0, "ran_s": 4.0},
        ),
    ]
    assert SECRET not in repr(lines)


async def test_the_end_of_a_failed_job_has_the_reason(lab: ApiLab) -> None:
    job_id = lab.submit(prompt=SECRET)["id"]
    with logged() as lines:
        await lab.fail(job_id, JobError("node-error", "shapes differ\nat line 7"))
    [_, (event, values)] = told(lines, job_id)
    assert (event, values["status"]) == ("job_ended", "failed")
    assert (values["error"], values["reason"]) == ("node-error", "shapes differ")


async def test_each_job_of_a_batch_is_told_of(lab: ApiLab) -> None:
    with logged() as lines:
        body = {"request": {"prompt": SECRET}, "product": {"seed": [1, 2]}}
        batch = lab.client.post("/generate/batch", json=body).json()
    for item in batch["items"]:
        assert [event for event, _ in told(lines, item["job"]["id"])] == ["job_accepted"]
    assert SECRET not in repr(lines)


async def test_a_replay_is_no_acceptance(lab: ApiLab) -> None:
    with logged() as lines:
        for _ in range(2):
            lab.client.post(
                "/generate", json={"prompt": "x"}, headers={"Idempotency-Key": "replayed"}
            )
    assert [line["event"] for line in lines].count("job_accepted") == 1
