"""``comfyq watch`` of several jobs and batches."""

import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner, Result

from comfyq.cli.app import app
from tests.fake_api import JOB, FakeApi, fake_api

OTHER = "99999999-2222-4333-8444-555555555555"
NO_JOB = {"code": "job-not-found", "detail": "there is no job"}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        yield running


def watch(api: FakeApi, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--url", api.url, "watch", *arguments])


def batch(*, done: bool, failed: int = 0) -> dict[str, object]:
    counts = {"completed": 2 - failed, "failed": failed} if done else {"running": 2}
    fields = {"batch_id": "batch-1", "size": 2, "done": done, "progress": float(done)}
    return fields | {"counts": counts, "canceled": False, "created_at": "2025-01-01T12:00:00Z"}


def jobs(api: FakeApi, *, other: str = "completed") -> None:
    for job_id, end in ((JOB, "completed"), (OTHER, other)):
        path = f"/generate/{job_id}"
        running = api.job(id=job_id, status="running", seq=2, progress=0.5)
        api.answer(path, running, running, api.job(id=job_id, status=end, seq=3, progress=1))


def test_each_of_them_is_followed_to_its_end(api: FakeApi) -> None:
    jobs(api)
    api.answer("/generate/batch-1", NO_JOB, status=404)
    api.answer("/generate/batch/batch-1", *[batch(done=False)] * 2, batch(done=True))
    ended = watch(api, JOB, OTHER, "batch-1", JOB)
    assert ended.exit_code == 0, ended.output
    assert JOB in ended.stdout
    assert OTHER in ended.stdout
    assert "2 completed" in ended.stdout
    for name in (JOB[:8], OTHER[:8], "batch-1"):
        assert name in ended.stderr


def test_programs_are_told_whose_frame_each_is(api: FakeApi) -> None:
    jobs(api)
    ended = watch(api, JOB, OTHER, "--json")
    frames = [json.loads(line) for line in ended.stdout.splitlines()]
    told = [(each["job_id"], each["status"]) for each in frames]
    for job_id in (JOB, OTHER):
        assert [status for name, status in told if name == job_id] == ["running", "completed"]


def test_programs_read_a_batchs_frames_as_a_jobs(api: FakeApi) -> None:
    api.answer("/generate/batch-1", NO_JOB, status=404)
    api.answer("/generate/batch/batch-1", *[batch(done=False)] * 3, batch(done=True, failed=1))
    ended = watch(api, "batch-1", "--json")
    frames = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(each["kind"], each["done"]) for each in frames] == [("batch", False), ("batch", True)]
    assert (ended.exit_code, frames[-1]["counts"]["failed"]) == (1, 1)


def test_an_end_that_is_not_known_is_no_success(api: FakeApi) -> None:
    path = f"/generate/{JOB}"
    api.answer(path, api.job(status="running", seq=2))
    api.answer(path, api.job(seq=3) | {"status": "shelved", "ended_at": "2030-01-01T00:00:00Z"})
    assert watch(api, JOB, "--json").exit_code == 1


def test_one_that_failed_is_the_exit_code(api: FakeApi) -> None:
    jobs(api, other="failed")
    assert watch(api, JOB, OTHER).exit_code == 1


def test_one_that_is_not_there_is_said_before_any_is_followed(api: FakeApi) -> None:
    jobs(api)
    api.answer("/generate/none", NO_JOB, status=404)
    api.answer("/generate/batch/none", NO_JOB | {"code": "batch-not-found"}, status=404)
    ended = watch(api, JOB, "none")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "job-not-found" in ended.stderr


def test_a_server_that_goes_away_ends_it(api: FakeApi) -> None:
    jobs(api)
    api.answers[f"/generate/{OTHER}"].clear()
    api.answer(f"/generate/{OTHER}", api.job(id=OTHER, status="running", seq=2))
    api.answer(f"/generate/{OTHER}", NO_JOB, status=404)
    ended = watch(api, JOB, OTHER)
    assert ended.exit_code == 2
    assert "job-not-found" in ended.stderr


def test_a_server_that_is_away_is_said_to_be_waited_for(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfyq.client.drivers.blocking.time.sleep", lambda _: None)
    path = f"/generate/{JOB}"
    api.answer(path, api.job(status="running", seq=2, progress=0.5))
    api.answer(path, *[{"code": "away", "detail": "it starts again"}] * 3, status=503)
    api.answer(path, api.job(status="completed", seq=3, progress=1))
    ended = watch(api, JOB)
    assert ended.exit_code == 0, ended.output
    assert ended.stderr.count("it starts again; trying again, for ") == 1
