"""``comfyq batch`` and the commands for batches, against a server that answers as a test says."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from typer.testing import CliRunner, Result

from comfyq.cli import outcome
from comfyq.cli.app import app
from comfyq.cli.batches.results import named_rows
from comfyq.cli.batches.sending import key_of
from comfyq.cli.client import ApiClient
from comfyq.cli.errors import CannotStart
from tests.fake_api import JOB, FakeApi, fake_api

BATCH = "22222222-2222-4333-8444-555555555555"
PATH = f"/generate/batch/{BATCH}"
MISSING = {"code": "job-not-found", "detail": "there is no such job"}
PICTURE = b"pixels"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        yield running


def run(api: FakeApi, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["--url", api.url, *map(str, arguments)])


def batch(*items: Any, **fields: Any) -> dict[str, Any]:
    places = [item["job"]["status"] if item["job"] else "refused" for item in items]
    names = ("queued", "running", "completed", "failed", "canceled", "refused", "gone")
    counts = {name: places.count(name) for name in names}
    view = {"batch_id": BATCH, "size": len(items), "progress": 0.5, "canceled": False}
    view |= {"counts": counts, "done": not counts["queued"], "items": list(items)}
    return view | {"created_at": "2025-01-01T12:00:00Z"} | fields


def item(index: int, job: dict[str, Any] | None = None, detail: str = "") -> dict[str, Any]:
    error = {"code": "invalid-parameters", "detail": detail} if detail else None
    return {"index": index, "job": job, "error": error}


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "jobs.results.csv").open(newline="", encoding="utf-8") as written:
        return list(csv.DictReader(written))


def fetches(api: FakeApi) -> int:
    return [path for _, path, *_ in api.requests].count("/picture")


def test_files_are_fetched_once_and_listed_in_a_table(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text('{"prompt": "a fox"}\n{"prompt": 5}\n{"prompt": "an owl"}\n')
    output = api.output(PICTURE, blake3=blake3(PICTURE).hexdigest())
    bad = item(1, detail="prompt: is no text")
    waits = api.job()
    done = api.job(status="completed", outputs=[output])
    failed = api.job(status="failed", error="it broke")
    api.answer("/generate/batch", batch(item(0, waits), bad, item(2, waits)), status=202)
    for items in (
        [item(0, done), bad, item(2, waits)],
        [item(0, done), bad, item(2, failed)],
    ):
        api.answer(PATH, batch(*items, items=None), batch(*items))
    out = tmp_path / "out"
    arguments = ("batch", file, "--out", out)
    ended = run(api, *arguments)
    assert ended.exit_code == 1
    assert ended.stdout.splitlines()[1:] == [str(out / "1-0.png")]
    assert "line 2: prompt: is no text" in ended.stderr
    assert "line 3: failed: it broke" in ended.stderr
    assert (out / "1-0.png").read_bytes() == PICTURE
    assert [(row["row"], row["status"], row["error"]) for row in table(out)] == [
        ("1", "completed", ""),
        ("2", "refused", "prompt: is no text"),
        ("3", "failed", "it broke"),
    ]
    assert table(out)[0]["files"] == str(out / "1-0.png")
    assert fetches(api) == 1
    final = batch(item(0, done), bad, item(2, failed))
    api.answers[PATH].clear()
    api.answer(PATH, final)
    again = run(api, *arguments)
    assert again.stdout.splitlines()[1:] == [str(out / "1-0.png")]
    assert fetches(api) == 1
    keys = {
        headers["Idempotency-Key"] for method, _, headers, _ in api.requests if method == "POST"
    }
    assert len(keys) == 1
    run(api, *arguments, "--new")
    newest = [headers for method, _, headers, _ in api.requests if method == "POST"][-1]
    assert newest["Idempotency-Key"] not in keys


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("jobs.csv", "image,prompt\na.png,a fox\na.png,an owl\nasset:x,a hen\nb.png,a.png\n"),
        (
            "jobs.jsonl",
            '{"image": "a.png", "prompt": "a fox"}\n'
            '{"image": {"source": "a.png", "fit": "cover"}, "prompt": "an owl"}\n'
            '{"image": "asset:x", "prompt": "a hen"}\n{"image": "b.png", "prompt": "a.png"}\n',
        ),
    ],
)
def test_files_that_rows_name_are_stored_once(
    api: FakeApi, tmp_path: Path, name: str, text: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    (tmp_path / "a.png").write_bytes(PICTURE)
    api.workflow(image={"type": "string", "x-kind": "image"})
    api.answer("/assets", {"id": "stored", "source": "asset:stored"}, status=201)
    said = "must be the id of an asset, an http(s) URL or a data URI"
    fault = item(3, detail=f"image: {said}")
    fault["error"]["errors"] = [{"field": "image", "message": said}]
    jobs = [item(number, api.job()) for number in range(3)]
    api.answer("/generate/batch", batch(*jobs, fault), status=202)
    sent = run(api, "batch", file)
    assert sent.exit_code == 1
    assert "image: a file of this machine is named by its path from the folder" in sent.stderr
    posts = [(path, body) for method, path, _, body in api.requests if method == "POST"]
    assert [path.partition("?")[0] for path, _ in posts] == ["/assets", "/generate/batch"]
    assert posts[0][1] == PICTURE
    requests = json.loads(posts[1][1])["requests"]
    images = [request["image"] for request in requests]
    second = images[1]["source"] if isinstance(images[1], dict) else images[1]
    assert [images[0], second, *images[2:]] == ["asset:stored"] * 2 + ["asset:x", "b.png"]
    assert requests[3]["prompt"] == "a.png"
    api.answers["/assets"].clear()
    api.answer("/assets", {"code": "rate-limited", "detail": "Too many"}, status=429)
    refused = run(api, "batch", file)
    assert refused.exit_code == 2
    assert str(tmp_path / "a.png") in refused.stderr


def test_a_row_with_a_file_that_is_refused_does_not_sink_the_others(
    api: FakeApi, tmp_path: Path
) -> None:
    file, large = tmp_path / "jobs.csv", tmp_path / "a.png"
    file.write_text("image,prompt\na.png,one\nasset:x,two\na.png,three\nasset:y,four\n")
    large.write_bytes(PICTURE)
    api.workflow(image={"type": "string", "x-kind": "image"})
    api.answer("/assets", {"code": "too-large", "detail": "is too large"}, status=413)
    output = api.output(PICTURE, blake3=blake3(PICTURE).hexdigest())
    done = api.job(status="completed", outputs=[output])
    api.answer("/generate/batch", batch(item(0, done), item(1, done)), status=202)
    api.answer(PATH, batch(item(0, done), item(1, done)))
    ended = run(api, "batch", file, "--out", tmp_path)
    assert ended.exit_code == 1
    assert ended.stdout.splitlines()[:2] == [f"{BATCH}: 2 completed", "not sent: 2 refused"]
    assert "lines 2, 4: " in ended.stderr
    assert f"{large}: refused (413 too-large)" in ended.stderr
    posts = [path.partition("?")[0] for method, path, *_ in api.requests if method == "POST"]
    assert posts == ["/assets", "/generate/batch"]
    rows = table(tmp_path)
    assert [row["status"] for row in rows] == ["refused", "completed"] * 2
    assert [bool(row["files"]) for row in rows] == [False, True] * 2
    assert "is too large" in rows[2]["error"]

    api.requests.clear()
    file.write_text("image,prompt\na.png,one\n")
    told = run(api, "batch", file, "--json")
    assert told.exit_code == 1
    assert [each["error"]["code"] for each in json.loads(told.stdout)["items"]] == ["refused"]
    assert [path for method, path, *_ in api.requests if "batch" in path] == []


def test_another_file_of_that_name_is_kept(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text('{"prompt": "a fox"}\n')
    (tmp_path / "1-0.png").write_bytes(b"of somebody")
    output = api.output(PICTURE, blake3=blake3(PICTURE).hexdigest())
    done = batch(item(0, api.job(status="completed", outputs=[output])))
    api.answer("/generate/batch", done, status=202)
    api.answer(PATH, done)
    assert run(api, "batch", file, "--out", tmp_path).exit_code == 0
    assert (tmp_path / "1-0.png").read_bytes() == b"of somebody"
    assert (tmp_path / f"1-0-{JOB}.png").read_bytes() == PICTURE


def test_a_workflow_that_does_not_exist_does_not_sink_the_file(
    api: FakeApi, tmp_path: Path
) -> None:
    file = tmp_path / "jobs.csv"
    file.write_text("workflow,prompt,wait\nnowhere,a,\nflux-dev,b,true\n")
    api.workflow()
    api.answer("/workflows/nowhere", {"code": "workflow-not-found"}, status=404)
    answered = batch(item(0, detail="there is no workflow nowhere"), item(1, api.job()))
    api.answer("/generate/batch", answered, status=202)
    ended = run(api, "batch", file)
    assert (ended.exit_code, ended.stderr) == (1, "line 2: there is no workflow nowhere\n")
    [sent] = [json.loads(body) for method, *_, body in api.requests if method == "POST"]
    assert sent["requests"][1] == {"workflow": "flux-dev", "prompt": "b", "wait": True}


@pytest.mark.parametrize(("status", "code"), [(429, "rate-limited"), (503, "overloaded")])
def test_a_batch_without_room_is_sent_again_when_the_server_says(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("comfyq.cli.batches.sending.time.sleep", slept.append)
    file = tmp_path / "jobs.jsonl"
    file.write_text('{"prompt": "a fox"}\n')
    detail = "you may send 60 requests a minute (COMFYQ_REQUESTS_PER_MINUTE)"
    api.headers["/generate/batch"] = {"Retry-After": "7"}
    api.answer("/generate/batch", *[{"code": code, "detail": detail}] * 5, status=status)
    api.answer("/generate/batch", batch(item(0, api.job())), status=202)
    ended = run(api, "batch", file)
    assert (ended.exit_code, slept) == (0, [7] * 5)
    assert ended.stderr.count(detail) == 5
    assert ended.stderr.count("waiting for 7 s") == 5
    keys = {headers["Idempotency-Key"] for method, _, headers, _ in api.requests}
    assert (len(api.requests), len(keys)) == (6, 1)


def test_a_file_waits_for_room_as_the_server_says(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("comfyq.cli.batches.sending.time.sleep", slept.append)
    file = tmp_path / "jobs.csv"
    file.write_text("image\na.png\n")
    (tmp_path / "a.png").write_bytes(PICTURE)
    api.workflow(image={"type": "string", "x-kind": "image"})
    api.headers["/assets"] = {"Retry-After": "7"}
    limited = {"code": "rate-limited", "detail": "you may send 60 requests a minute"}
    api.answer("/assets", *[limited] * 3, status=429)
    api.answer("/assets", {"code": "overloaded", "detail": "overloaded"}, status=503)
    api.answer("/assets", {"id": "stored", "source": "asset:stored"}, status=201)
    api.answer("/generate/batch", batch(item(0, api.job())), status=202)
    sent = run(api, "batch", file)
    assert (sent.exit_code, slept) == (0, [7] * 4)
    assert sent.stderr.count("waiting for 7 s") == 4


def test_a_server_that_is_started_again_between_two_parts_is_waited_for(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comfyq.cli.batches.sending.time.sleep", lambda _: None)
    monkeypatch.setattr("comfyq.cli.batches.sending.MAX_REQUESTS", 1)
    file = tmp_path / "jobs.jsonl"
    file.write_text('{"prompt": "a fox"}\n{"prompt": "an owl"}\n')
    taken = batch(item(0, api.job()))
    api.answer("/generate/batch", taken, status=202)
    api.answer("/generate/batch", *[{"code": "away", "detail": "away"}] * 10, status=503)
    api.answer("/generate/batch", taken, status=202)
    ended = run(api, "batch", file)
    assert (ended.exit_code, len(api.requests)) == (0, 12), ended.stderr


def test_a_day_that_is_used_up_is_not_waited_for(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("comfyq.cli.batches.sending.time.sleep", slept.append)
    file = tmp_path / "jobs.jsonl"
    file.write_text('{"prompt": "a fox"}\n')
    api.headers["/generate/batch"] = {"Retry-After": "40000"}
    used_up = {"code": "daily-jobs-used-up", "detail": "the next day begins in 40000 s"}
    api.answer("/generate/batch", used_up, status=429)
    ended = run(api, "batch", file)
    assert (ended.exit_code, slept, len(api.requests)) == (2, [], 1)
    assert "the next day begins in 40000 s" in ended.stderr
    api.headers.clear()
    api.answers.clear()
    api.answer("/generate/batch", {"code": "away", "detail": "away"}, status=503)
    ended = run(api, "batch", file)
    assert (ended.exit_code, len(slept), len(api.requests)) == (3, 2, 4)


def test_rows_are_named_where_none_can_be_run(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text('\n{"prompt": 5}\n{"prompt": 6}\n')
    errors = [{"field": f"requests.{n}.prompt", "message": "is no text"} for n in range(2)]
    api.answer("/generate/batch", {"code": "invalid-parameters", "errors": errors}, status=422)
    ended = run(api, "batch", file)
    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == ["lines 2-3: prompt: is no text"]


def test_equal_errors_are_told_once(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "jobs.csv"
    file.write_text("prompt\n" + "a\n" * 7)
    api.workflow()
    wrong = {0: "is no text", 1: "is no text", 2: "is too long", 4: "is no text"}
    errors = [{"field": f"requests.{n}.prompt", "message": each} for n, each in wrong.items()]
    api.answer("/generate/batch", {"code": "invalid-parameters", "errors": errors}, status=422)
    ended = run(api, "batch", file)
    assert ended.stderr.splitlines() == [
        "lines 2-3, 6: prompt: is no text",
        "line 4: prompt: is too long",
        "lines 5, 7-8: the server did not say what is wrong here; correct the other rows first",
    ]


def test_a_column_that_names_files_is_no_parameter(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "jobs.csv"
    file.write_text("title;prompt\nred fox;a\n\nowl;b\n")
    api.workflow()
    output = api.output(PICTURE, blake3=blake3(PICTURE).hexdigest())
    done = api.job(status="completed", outputs=[output])
    api.answer("/generate/batch", batch(item(0, done), item(1, done)), status=202)
    api.answer(PATH, batch(item(0, done), item(1, done)))
    ended = run(api, "batch", file, "--out", tmp_path, "--name", "title")
    assert ended.exit_code == 0, ended.stderr
    assert {each.name for each in tmp_path.glob("*.png")} == {"red-fox-0.png", "owl-0.png"}
    assert [(row["row"], row["line"]) for row in table(tmp_path)] == [("1", "2"), ("2", "4")]
    run(api, "batch", file, "--new", "--name", "prompt")
    sent = [json.loads(body)["requests"] for method, *_, body in api.requests if method == "POST"]
    assert sent[0] == [{"prompt": "a"}, {"prompt": "b"}]
    assert sent[1][0] == {"title": "red fox", "prompt": "a"}


def test_rows_that_were_sent_before_are_told_as_they_are_now(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text('{"prompt": "a fox"}\n')
    api.headers["/generate/batch"] = {"Idempotent-Replayed": "true"}
    api.answer("/generate/batch", batch(item(0, api.job())), status=202)
    api.answer(PATH, batch(item(0, api.job(status="completed"))))
    assert run(api, "batch", file).stdout == f"{BATCH}: 1 completed\n"


def test_a_priority_is_that_of_every_row_without_one(api: FakeApi, tmp_path: Path) -> None:
    rows = [{"prompt": "a fox"}, {"prompt": "an owl", "priority": 2}]
    file = tmp_path / "jobs.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    api.answer("/generate/batch", batch(item(0, api.job()), item(1, api.job())), status=202)
    assert run(api, "batch", file, "--priority", 8).exit_code == 0
    sent = json.loads(api.requests[-1][3])["requests"]
    assert [row["priority"] for row in sent] == [8, 2]


def test_a_webhook_is_that_of_every_row_without_a_url(api: FakeApi, tmp_path: Path) -> None:
    url, own = "https://example.com/told", "https://example.org/own"
    rows: list[dict[str, Any]] = [
        {"prompt": "a fox"},
        {"prompt": "an owl", "webhook_url": own},
        {"prompt": "a hen", "webhook_url": None, "webhook_events": ["failed"]},
    ]
    file = tmp_path / "jobs.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    accepted = batch(*(item(index, api.job()) for index in range(3)))
    api.answer("/generate/batch", accepted, status=202)
    told = ["--webhook", url, "--webhook-event", "completed"]
    assert run(api, "batch", file, *told).exit_code == 0
    sent = json.loads(api.requests[-1][3])["requests"]
    assert [(row["webhook_url"], row.get("webhook_events")) for row in sent] == [
        (url, ["completed"]),
        (own, None),
        (url, ["failed"]),
    ]


def test_files_are_named_by_a_column() -> None:
    rows = [(f"line {n}", {"prompt": each}) for n, each in ((9, "A fox!"), (10, "a fox?"))]
    assert [row.name for row in named_rows(rows, None)] == ["1", "2"]
    assert [row.name for row in named_rows(rows, "prompt")] == ["A-fox", "a-fox-2"]
    rows.append(("line 11", {}))
    assert [row.name for row in named_rows(rows, "prompt")] == ["A-fox", "a-fox-2", "3"]
    with pytest.raises(CannotStart, match="no row has a value in title"):
        named_rows(rows, "title")


def test_the_key_follows_from_the_requests() -> None:
    rows = [("line 1", {"prompt": "a fox", "seed": 1})]
    assert key_of(rows) == key_of([("line 5", {"seed": 1, "prompt": "a fox"})])
    assert key_of(rows) != key_of(rows * 2)


@pytest.mark.parametrize("command", ["status", "watch", "cancel"])
def test_commands_for_jobs_take_a_batch(api: FakeApi, command: str) -> None:
    api.answer(f"/generate/{BATCH}", MISSING, status=404)
    api.answer(PATH, batch(item(0, api.job(status="failed")), items=None))
    ended = run(api, command, BATCH)
    assert ended.exit_code == (0 if command == "cancel" else 1)
    assert "1 failed" in ended.stdout
    assert api.requests[-1][0] == ("DELETE" if command == "cancel" else "GET")


@pytest.mark.parametrize(("others", "hinted"), [((), True), (("title",), False)])
def test_a_column_that_names_files_alone_gets_a_hint(
    api: FakeApi, tmp_path: Path, others: tuple[str, ...], hinted: bool
) -> None:
    api.workflow()
    names = ("name", *others)
    (tmp_path / "rows.csv").write_text(f"prompt,{','.join(names)}\na fox{',x' * len(names)}\n")
    message = "is not a parameter of it"
    faults = [{"field": f"requests.0.{name}", "message": message} for name in names]
    api.answer("/generate/batch", {"code": "invalid-request", "errors": faults}, status=422)
    ended = run(api, "batch", tmp_path / "rows.csv")
    assert ended.exit_code == 1
    assert f"name: {message}" in ended.stderr
    assert ("add --name name" in ended.stderr) == hinted


def test_an_id_of_nothing_is_refused(api: FakeApi) -> None:
    api.answer(f"/generate/{BATCH}", MISSING, status=404)
    api.answer(PATH, {"code": "batch-not-found"}, status=404)
    ended = run(api, "status", BATCH)
    assert (ended.exit_code, "there is no such job" in ended.stderr) == (2, True)


def test_a_job_or_batch_is_tried_again(api: FakeApi) -> None:
    api.answer(f"/generate/{JOB}/retry", api.job(id="the new one", retry_of=JOB), status=202)
    assert run(api, "retry", JOB).stdout == "the new one\n"
    api.answer(f"/generate/{BATCH}/retry", MISSING, status=404)
    api.answer(f"{PATH}/retry", batch(item(0, api.job())), status=202)
    api.answer(PATH, batch(item(0, api.job(status="running"))))
    assert "1 running" in run(api, "retry", BATCH).stdout
    assert "1 running" in run(api, "retry", BATCH, "--failed").stdout


def test_files_of_a_retry_are_named_by_the_first_batch(api: FakeApi, tmp_path: Path) -> None:
    output = api.output(PICTURE, blake3=blake3(PICTURE).hexdigest())
    done = api.job(status="completed", outputs=[output])
    api.answer(f"/generate/{BATCH}", MISSING, status=404)
    first = {"batch_id": JOB, "size": 500}
    api.answer(PATH, batch(item(0, done) | {"original_index": 6}, retry_of=first))
    fetched = run(api, "download", BATCH, "--out", tmp_path)
    assert fetched.stdout == f"{tmp_path / '007-0.png'}\n"


def test_rows_without_results_are_named(api: FakeApi) -> None:
    api.answer(f"/generate/{BATCH}", MISSING, status=404)
    failed = api.job(status="failed", error="it broke")
    items = [item(0, failed), item(1, api.job()), item(2, failed), item(3, detail="is no text")]
    api.answer(PATH, batch(*items))
    ended = run(api, "status", BATCH)
    assert ended.stderr.splitlines() == ["rows 1, 3: failed: it broke", "row 4: is no text"]


def test_a_command_for_jobs_alone_says_that_an_id_is_a_batchs(api: FakeApi) -> None:
    for path in (f"/generate/{BATCH}", f"/generate/{BATCH}/story"):
        api.answer(path, MISSING, status=404)
    api.answer(PATH, batch(item(0, api.job())))
    ended = run(api, "show", BATCH)
    assert ended.exit_code == 2
    assert f"{BATCH} is the id of a batch, not of a job" in ended.stderr


def test_an_interrupted_wait_says_that_the_job_goes_on(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(outcome, "follow_to_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        outcome.see_through(ApiClient(api.url), api.job(), Path(), as_json=False)
    assert f"job {JOB} goes on: `comfyq watch {JOB}`" in capsys.readouterr().err


def test_files_of_an_earlier_job_or_batch_are_fetched(api: FakeApi, tmp_path: Path) -> None:
    output = api.output(PICTURE, blake3=blake3(PICTURE).hexdigest())
    done = api.job(status="completed", outputs=[output])
    api.answer(f"/generate/{JOB}", done)
    for _ in range(2):
        fetched = run(api, "download", JOB, "--out", tmp_path)
        assert fetched.stdout == f"{tmp_path / f'{JOB}-0.png'}\n"
    assert fetches(api) == 1
    api.answer(f"/generate/{BATCH}", MISSING, status=404)
    api.answer(PATH, batch(item(0, done), item(1, api.job()), done=False))
    fetched = run(api, "download", BATCH, "--out", tmp_path)
    assert fetched.stdout == f"{tmp_path / '1-0.png'}\n"
    assert "goes on: 1 queued, 1 completed" in fetched.stderr


def test_a_job_that_goes_on_has_no_files(api: FakeApi) -> None:
    api.answer(f"/generate/{JOB}", api.job(status="running"))
    ended = run(api, "download", JOB)
    assert (ended.exit_code, f"job {JOB} is running" in ended.stderr) == (2, True)


def test_batches_are_listed(api: FakeApi) -> None:
    api.answer("/generate/batch", {"batches": [batch(item(0))], "next_cursor": "more"})
    api.answer(PATH, batch(item(0, api.job(status="failed")), items=None))
    ended = run(api, "list", "--batches")
    assert BATCH in ended.stdout
    assert "1 failed" in ended.stdout
    assert "--cursor more" in ended.stdout
    assert run(api, "list", "--batches", "--status", "failed").exit_code == 2


def test_the_table_of_an_earlier_run_outlives_one_of_which_nothing_was_accepted(
    api: FakeApi, tmp_path: Path
) -> None:
    file, kept = tmp_path / "jobs.csv", tmp_path / "made" / "jobs.results.csv"
    file.write_text("workflow,seed\nnone,1\n")
    errors = [{"field": "requests.0.workflow", "message": "there is no such workflow"}]
    api.answer("/generate/batch", {"detail": "none", "errors": errors}, status=422)
    assert run(api, "batch", file, "--out", kept.parent).exit_code == 1
    assert [row["status"] for row in table(kept.parent)] == ["refused"], "no table was there"
    kept.write_text("the first run's")
    ended = run(api, "batch", file, "--out", kept.parent)
    assert (ended.exit_code, kept.read_text()) == (1, "the first run's")
    assert f"{kept}: kept, since nothing was accepted" in ended.stderr
    assert ended.output.count("nothing was accepted: ") == 1
