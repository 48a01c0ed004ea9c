"""Commands that delete and open jobs."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from comfyq.bootstrap.runtime_file import runtime_file
from comfyq.cli.app import app
from tests.fake_api import JOB, FakeApi, fake_api, frame

PATH = f"/generate/{JOB}"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        yield running


def run(api: FakeApi, *arguments: object, url: str | None = None) -> Result:
    return CliRunner().invoke(app, ["--url", url or api.url, *map(str, arguments)])


def test_a_job_is_deleted(api: FakeApi) -> None:
    api.answer(PATH, api.job(status="completed"))
    result = run(api, "delete", JOB)
    assert (result.exit_code, result.stdout) == (0, f"deleted {JOB}\n")
    assert [(method, path) for method, path, *_ in api.requests] == [
        ("DELETE", f"{PATH}?purge=true")
    ]


def test_programs_read_what_was_deleted_and_where_a_picture_is(api: FakeApi) -> None:
    missing = {"code": "job-not-found", "detail": "there is no job"}
    api.answer("/generate/batch-1", missing, status=404)
    items = [{"index": 0, "job": api.job(status="completed"), "error": None}]
    nothing = [{"index": 0, "job": None, "error": None}]
    named = {"batch_id": "batch-1"}
    api.answer(
        "/generate/batch/batch-1", named, *(named | {"items": each} for each in (items, nothing))
    )
    picture = api.output(b"", blake3="")
    api.answer(PATH, *[api.job(status="completed", outputs=[picture])] * 3)
    deleted = run(api, "delete", JOB, "batch-1", "--json").stdout.splitlines()
    assert [json.loads(line) for line in deleted] == [
        {"job": JOB, "deleted_jobs": 1},
        {"batch": "batch-1", "deleted_jobs": 1},
    ]
    assert json.loads(run(api, "open", JOB, "--json").stdout) == {
        "job": JOB,
        "index": 0,
        "place": picture["url"],
    }


def test_a_running_job_is_deleted_when_its_worker_has_stopped_it(api: FakeApi) -> None:
    api.answer(PATH, {"code": "job-not-ended", "detail": "it runs"}, status=409)
    api.answer(PATH, api.job(status="running"), api.job(status="canceled", seq=4))
    api.sockets.append([frame(4, "canceled", 1)])
    result = run(api, "delete", JOB)
    assert result.exit_code == 0, result.stderr
    purges = [method for method, path, *_ in api.requests if path.endswith("?purge=true")]
    assert purges == ["DELETE", "DELETE"]


def test_stored_files_are_listed_and_deleted(api: FakeApi) -> None:
    asset = {"id": "a-1", "source": "asset:a-1", "size": 7, "expires_at": "later"}
    api.answer("/assets", {"assets": [asset | {"filename": "a\x1b[2J.png"}], "next_cursor": "on"})
    api.answer("/assets", {"assets": [], "next_cursor": None})
    shown = run(api, "files", "list", "--limit", "1")
    assert (shown.exit_code, shown.stdout.split()[:3]) == (0, ["asset:a-1", "7", "later"])
    assert "\x1b" not in shown.stdout
    assert "more: --cursor on" in shown.stdout
    none = run(api, "files", "list", "--cursor", "on")
    assert (none.stdout, none.stderr) == ("", "no more stored files\n")
    api.answer("/assets/a-1", b"", status=204)
    api.answer("/assets/a-2", {"code": "asset-in-use", "detail": "a job needs it"}, status=409)
    deleted = run(api, "files", "delete", "asset:a-1", "a-2")
    assert (deleted.exit_code, deleted.stdout) == (2, "deleted asset:a-1\n")
    assert "a job needs it" in deleted.stderr
    asked = [(method, path) for method, path, *_ in api.requests]
    assert asked[:2] == [("GET", "/assets?limit=1"), ("GET", "/assets?limit=20&cursor=on")]
    assert asked[2:] == [("DELETE", "/assets/a-1"), ("DELETE", "/assets/a-2")]
    assert run(api, "files", "delete", "").exit_code == 2


def test_a_job_that_does_not_exist_is_not_deleted(api: FakeApi) -> None:
    assert run(api, "delete", JOB).exit_code == 2


def test_a_batch_is_canceled_and_then_deleted_job_by_job(api: FakeApi) -> None:
    missing = {"code": "job-not-found", "title": "t", "status": 404, "detail": "there is no job"}
    api.answer("/generate/batch-1", missing, status=404)
    jobs = [api.job(status="canceled"), None, api.job(id="gone", status="completed")]
    items = [{"index": index, "job": job, "error": None} for index, job in enumerate(jobs)]
    api.answer("/generate/batch/batch-1", {"batch_id": "batch-1", "items": items})
    api.answer(PATH, api.job(status="canceled"))
    api.answer("/generate/gone", missing, status=404)
    result = run(api, "delete", "batch-1")
    assert (result.exit_code, result.stdout) == (
        0,
        "deleted 2 jobs of batch batch-1; `comfyq list --batches` shows it until it expires\n",
    )
    deletions = [path for method, path, *_ in api.requests if method == "DELETE"]
    assert deletions == [
        "/generate/batch-1?purge=true",
        "/generate/batch/batch-1",
        f"{PATH}?purge=true",
        "/generate/gone?purge=true",
    ]


def test_jobs_of_a_batch_are_deleted_with_their_retries(api: FakeApi) -> None:
    """A batch shows the newest retry alone, until that is gone."""
    missing = {"code": "job-not-found", "title": "t", "status": 404, "detail": "there is no job"}
    api.answer("/generate/batch-1", missing, status=404)
    api.answer("/generate/batch/batch-1", {"batch_id": "batch-1"})  # it is canceled
    for job_ids in (["retry", "second"], ["retried", None], ["first", None], [None, None]):
        jobs = [job_id and api.job(id=job_id, status="failed") for job_id in job_ids]
        items = [{"index": index, "job": job, "error": None} for index, job in enumerate(jobs)]
        api.answer("/generate/batch/batch-1", {"batch_id": "batch-1", "items": items})
    for job_id in ("retry", "second", "retried", "first"):
        api.answer(f"/generate/{job_id}", api.job(id=job_id, status="failed"))
    result = run(api, "delete", "batch-1")
    assert result.stdout.startswith("deleted 4 jobs of batch batch-1;")


def test_a_batch_without_jobs_is_said_to_stay_listed(api: FakeApi) -> None:
    missing = {"code": "job-not-found", "title": "t", "status": 404, "detail": "there is no job"}
    api.answer("/generate/batch-1", missing, status=404)
    items = [{"index": 0, "job": None, "error": None}]
    api.answer("/generate/batch/batch-1", {"batch_id": "batch-1", "items": items})
    assert run(api, "delete", "batch-1").stdout == (
        "no job is left of batch batch-1; `comfyq list --batches` shows it until it expires\n"
    )


def test_open_prints_where_an_output_is(api: FakeApi) -> None:
    output = api.output(b"pixels", blake3="")
    api.answer(PATH, api.job(status="completed", outputs=[output], more_outputs="elsewhere"))
    api.answer(f"{PATH}/outputs", {"outputs": [output | {"index": 1, "url": "the second"}]})
    assert run(api, "open", JOB).stdout == f"{api.url}/picture\n"
    assert run(api, "open", JOB, "--index", 1).stdout == "the second\n"


def test_open_takes_the_file_of_the_server_of_a_data_directory(
    api: FakeApi, tmp_path: Path
) -> None:
    job = api.job(status="completed", outputs=[api.output(b"pixels", blake3="")])
    api.answer(PATH, job)
    day = datetime.fromisoformat(job["created_at"]).astimezone()
    file = tmp_path / "pictures" / f"{day:%Y-%m-%d}" / f"12.00.00 sd15 fox {JOB[:13]}" / "00 a.png"
    file.parent.mkdir(parents=True)
    file.touch()
    data = tmp_path / "data"
    with runtime_file(data, {"COMFYQ_OUTPUTS_DIR": str(tmp_path / "pictures")}):
        assert run(api, "open", JOB, "--data-dir", data).stdout == f"{file}\n"
    assert run(api, "open", JOB, "--data-dir", data).stdout == f"{api.url}/picture\n"


def test_open_names_a_directory_without_data(api: FakeApi, tmp_path: Path) -> None:
    api.answer(PATH, api.job(status="completed", outputs=[api.output(b"pixels", blake3="")]))
    result = run(api, "open", JOB, "--data-dir", tmp_path / "elsewhere")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "elsewhere has no data of comfyq" in result.stderr


@pytest.mark.parametrize("made", [True, False])
def test_open_takes_the_first_picture_of_a_batch(api: FakeApi, made: bool) -> None:
    missing = {"code": "job-not-found", "title": "t", "status": 404, "detail": "there is no job"}
    api.answer("/generate/batch-1", missing, status=404)
    done = api.job(status="completed", outputs=[api.output(b"pixels", blake3="")])
    jobs = [None, api.job(status="failed"), done if made else None]
    items = [{"index": index, "job": job, "error": None} for index, job in enumerate(jobs)]
    api.answer("/generate/batch/batch-1", {"batch_id": "batch-1", "items": items})
    result = run(api, "open", "batch-1")
    if made:
        assert result.stdout == f"{api.url}/picture\n"
        assert f"batch-1 is a batch; this is of row 3, job {JOB}" in result.stderr
    else:
        assert (result.exit_code, result.stdout) == (2, "")
        assert "none of whose jobs has results" in result.stderr


def test_open_says_that_there_is_nothing_yet(api: FakeApi) -> None:
    api.answer(PATH, api.job(status="running"))
    result = run(api, "open", JOB)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{JOB} is running and has no output 0" in result.stderr


def test_a_url_without_a_scheme_is_http(api: FakeApi) -> None:
    api.answer(PATH, api.job())
    result = run(api, "status", JOB, url=api.url.removeprefix("http://"))
    assert (result.exit_code, result.stderr) == (0, "")
