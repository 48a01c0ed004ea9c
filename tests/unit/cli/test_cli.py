"""Commands: their requests, output and exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from typer.testing import CliRunner, Result

from comfyq.cli.app import app
from tests.fake_api import JOB, FakeApi, after, fake_api, frame

PATH = f"/generate/{JOB}"
INTEGER = {"type": "integer"}
LORAS = {"type": "array", "x-kind": "loras"}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        running.workflow()
        yield running


def run(api: FakeApi, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["--url", api.url, *map(str, arguments)])


def test_only_what_was_given_is_asked_for(api: FakeApi) -> None:
    api.workflow("other", width=INTEGER, cfg={"type": "number"}, loras=LORAS)
    api.answer("/generate", api.job(), status=202)
    options = ["--width", 64, "--cfg", 3.5, "--lora", "a:0.5", "--lora", "b:c:1"]
    result = run(api, "submit", "other", "a fox", *options, "--idempotency-key", "k1")
    assert (result.exit_code, result.stdout) == (0, f"{JOB}\n")
    [_, (method, path, headers, body)] = api.requests
    assert (method, path, headers["Idempotency-Key"]) == ("POST", "/generate", "k1")
    assert json.loads(body) == {
        "workflow": "other",
        "prompt": "a fox",
        "width": 64,
        "cfg": 3.5,
        "loras": ["a:0.5", "b:c:1"],
    }


def test_json_is_one_line_and_nothing_else(api: FakeApi) -> None:
    job = api.job(warnings=["negative_prompt: without effect"])
    api.answer("/generate", job, status=202)
    result = run(api, "submit", "a fox", "--json")
    assert (json.loads(result.stdout), result.stderr) == (job, "")


@pytest.mark.parametrize(
    ("status", "code"),
    [("queued", 0), ("running", 0), ("completed", 0), ("failed", 1), ("canceled", 1)],
)
def test_the_exit_code_of_a_status(api: FakeApi, status: str, code: int) -> None:
    api.answer(PATH, api.job(status=status))
    assert run(api, "status", JOB).exit_code == code
    assert run(api, "status", JOB, "--json").exit_code == code


def test_a_failed_job_that_was_waited_for(api: FakeApi, tmp_path: Path) -> None:
    api.answer(PATH, api.job(status="failed", seq=3, error="out of memory", error_code="device"))
    api.answer("/generate", api.job(), status=202)
    result = run(api, "submit", "a fox", "--out", tmp_path)
    assert result.exit_code == 1
    assert "out of memory" in result.stdout


def test_outputs_arrive_whole(api: FakeApi, tmp_path: Path) -> None:
    output = api.output(b"pixels", blake3=blake3(b"pixels").hexdigest())
    api.answer(PATH, api.job(), api.job(status="completed", seq=4, outputs=[output]))
    api.answer("/generate", api.job(), status=202)
    api.sockets.append([frame(2), frame(4, "completed", 1)])
    result = run(api, "submit", "a fox", "--wait", "--out", tmp_path / "new", "--json")
    assert result.exit_code == 0, result.stderr
    accepted, *frames, ended = map(json.loads, result.stdout.splitlines())
    assert accepted == api.job()
    assert frames[1:] == [frame(2), frame(4, "completed", 1)]
    file = tmp_path / "new" / f"{JOB}-0.png"
    assert ended["files"] == [str(file)]
    assert file.read_bytes() == b"pixels"


def test_outputs_that_the_job_had_no_room_for_are_fetched_too(api: FakeApi, tmp_path: Path) -> None:
    first = api.output(b"pixels", blake3=blake3(b"pixels").hexdigest())
    ended = api.job(status="completed", seq=4, outputs=[first], more_outputs="http://elsewhere")
    api.answer(PATH, ended)
    api.answer("/generate", api.job(), status=202)
    second = {"outputs": [first | {"index": 1}], "more_outputs": "http://elsewhere"}
    third = {"outputs": [first | {"index": 2}], "more_outputs": None}
    api.answer(f"{PATH}/outputs", second, third)
    result = run(api, "submit", "a fox", "--wait", "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{JOB}-{n}.png" for n in range(3)]
    asked = [path for _, path, *_ in api.requests if path.startswith(f"{PATH}/outputs")]
    assert asked == [f"{PATH}/outputs?start=1", f"{PATH}/outputs?start=2"]


def test_a_damaged_output_is_no_file(api: FakeApi, tmp_path: Path) -> None:
    output = api.output(b"pixels", blake3=blake3(b"others").hexdigest())
    api.answer(PATH, api.job(status="completed", seq=4, outputs=[output]))
    api.answer("/generate", api.job(), status=202)
    result = run(api, "submit", "a fox", "--wait", "--out", tmp_path)
    assert result.exit_code == 3
    assert "did not arrive" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_story_names_every_attempt(api: FakeApi) -> None:
    lost = {"number": 1, "worker": "w1", "claimed_at": after(1), "started_at": after(2)}
    lost |= {"ended_at": after(5.5), "verdict": "lost", "reason": "its lease lapsed"}
    done = {"number": 2, "worker": "w2", "claimed_at": after(6), "started_at": None}
    done |= {"ended_at": after(9), "verdict": "canceled"}
    story = api.job(
        status="canceled", failures=1, attempts=[lost, done], parameters={"prompt": "a fox"}
    )
    api.answer(f"{PATH}/story", story)
    result = run(api, "show", JOB)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert any(line.split() == ["prompt", "a", "fox"] for line in lines)
    [first] = [line for line in lines if " lost " in line]
    assert "w1" in first
    assert "1.00 s" in first
    assert "3.50 s" in first
    assert "its lease lapsed" in first
    assert any("w2" in line and "canceled" in line for line in lines)


def test_markup_in_what_others_wrote_is_text(api: FakeApi) -> None:
    story = api.job(failures=0, attempts=[], parameters={"prompt": "[red]a[/red] [/b] fox"})
    api.answer(f"{PATH}/story", story)
    assert "[red]a[/red] [/b] fox" in run(api, "show", JOB).stdout


def test_a_list_asks_for_what_it_shows(api: FakeApi) -> None:
    job = api.job(labels={"run": "7"})
    api.answer("/generate", {"jobs": [job], "next_cursor": "abc"})
    options = ["--workflow", "w", "--label", "run=7", "--since", "2026-11-27T10:00Z"]
    result = run(api, "list", "--limit", 1, "--status", "queued", "--cursor", "c", *options)
    assert api.requests[0][1] == (
        "/generate?limit=1&cursor=c&status=queued&workflow=w"
        "&created_after=2026-11-27T10%3A00%3A00%2B00%3A00&label=run%3D7"
    )
    assert "run=7" in result.stdout
    assert run(api, "list", "--until", "2d").exit_code == 0
    for no_time in ("noon", "999999w"):
        assert run(api, "list", "--since", no_time).exit_code == 2
    assert JOB in result.stdout
    assert "--cursor abc" in result.stdout


def test_a_cancel_deletes(api: FakeApi) -> None:
    api.answer(PATH, api.job(cancel_requested=True), status=202)
    result = run(api, "cancel", JOB)
    assert result.exit_code == 0
    assert "cancel requested" in result.stdout
    assert api.requests[0][:2] == ("DELETE", PATH)


def test_ids_do_not_lead_elsewhere(api: FakeApi) -> None:
    for command in ("status", "watch", "cancel", "open", "retry"):
        refused = run(api, command, "../health?x=#y")
        assert (refused.exit_code, api.requests) == (2, []), command
        assert "'../health?x=#y' is no id" in refused.stderr, command


def test_every_bad_field_is_told(api: FakeApi) -> None:
    fields = [{"field": "width", "message": "too odd"}, {"field": "loras.0", "message": "unknown"}]
    problem = {"code": "invalid-parameters", "detail": "two are wrong", "errors": fields}
    api.answer("/generate", problem, status=422)
    result = run(api, "submit", "a fox", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "comfyq: refused (422 invalid-parameters)\n  width: too odd\n  loras.0: unknown\n"
    )


@pytest.mark.parametrize(
    ("status", "body", "code", "printed"),
    [
        (503, {"detail": "the table is away"}, 3, "the table is away"),
        (502, b"<html>", 3, "Bad Gateway"),
        (200, b"<html>", 3, "it is not comfyq"),
        (401, b"", 2, "refused (401 Unauthorized) by something else than comfyq"),
    ],
)
def test_servers_that_are_of_no_help(
    api: FakeApi, status: int, body: object, code: int, printed: str
) -> None:
    api.answer("/health", body, status=status)
    api.headers["/health"] = {"Retry-After": "1"}
    result = run(api, "health")
    assert (result.exit_code, result.stdout) == (code, "")
    assert printed in result.stderr


def test_a_server_without_workers_is_told_by_the_exit_code(api: FakeApi) -> None:
    health = {"status": "degraded", "comfyui_available": False, "version": "1", "workers": []}
    api.answer("/health", health | {"reason": "no worker is connected", "simulated": False})
    result = run(api, "health")
    assert result.exit_code == 1
    assert "no worker is connected" in result.stdout


def test_a_server_that_tells_strangers_little_says_so(api: FakeApi) -> None:
    names = ("reason", "simulated", "stalls", "broken_workflows", "workers")
    health = {"status": "healthy", "comfyui_available": True, "version": "1"}
    api.answer("/health", health | dict.fromkeys(names))
    result = run(api, "health")
    assert (result.exit_code, "healthy" in result.stdout) == (0, True)
    assert "COMFYQ_API_KEY" in result.stderr


@pytest.mark.parametrize(
    ("jobs", "more", "printed"),
    [
        (None, {}, ""),
        (["a"], {"draining": True, "foreign_prompts": 2}, "1, behind 2 of others, dr"),
    ],
)
def test_a_worker_is_shown_also_where_its_jobs_are_not(
    api: FakeApi, jobs: list[str] | None, more: dict[str, Any], printed: str
) -> None:
    worker = {"id": "w1", "comfyui_available": True, "comfyui_version": "1", "reason": None}
    worker |= {"devices": ["a GPU"], "simulated": False, "draining": False, "jobs": jobs, **more}
    health = {"status": "healthy", "version": "1", "reason": None, "simulated": False}
    api.answer("/health", health | {"workers": [worker]})
    result = run(api, "health")
    assert result.exit_code == 0, result.output
    [row] = [line for line in result.stdout.splitlines() if "w1" in line]
    assert row.rpartition("a GPU")[2].strip().startswith(printed)


def test_a_defect_of_ours_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("odd")

    monkeypatch.setattr("comfyq.cli.profiles.servers.Servers.at", lambda *_: broken())
    result = CliRunner().invoke(app, ["status", JOB])
    assert result.exit_code == 70
    assert "defect" in result.stderr
    debugged = CliRunner().invoke(app, ["--debug", "status", JOB])
    assert isinstance(debugged.exception, KeyError)


@pytest.mark.parametrize(
    ("path", "answer", "command"),
    [
        (PATH, {"id": JOB, "status": "queued"}, ("status", JOB)),
        ("/workers", {"workers": "none"}, ("workers",)),
        ("/generate", {"jobs": [{"id": 5}]}, ("list",)),
        ("/quota", {"tenant": ["\x1b[2J"]}, ("quota",)),
        ("/health", {"status": "healthy", "workers": 7}, ("health",)),
    ],
)
def test_a_server_that_answers_otherwise_is_named(
    api: FakeApi, path: str, answer: dict[str, Any], command: tuple[str, ...]
) -> None:
    api.answer(path, answer)
    result = run(api, *command)
    assert result.exit_code == 3, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("comfyq: ")
    assert api.url in line
    assert "answers otherwise than this c" in line
    assert "defect" not in line
    assert "\x1b" not in line


def test_settings_that_are_wrong_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYQ_DEPTH", "many")
    result = CliRunner().invoke(app, ["up", "--port", "0"])
    assert result.exit_code == 2
    fault = "COMFYQ_DEPTH: the value is not a whole number from 1 to 8"
    assert result.stderr == f"comfyq: setting {fault}\n"
    monkeypatch.setenv("COMFYQ_WAIT_S", "long")
    several = CliRunner().invoke(app, ["up", "--port", "0"]).stderr.splitlines()
    assert several == [
        "comfyq: these settings are wrong",
        fault,
        "COMFYQ_WAIT_S: the value is not a number from 0 to 20",
    ]


def test_a_worker_needs_a_comfyui(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("COMFYUI_URL", "COMFYUI_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COMFYQ_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["worker"])
    assert result.exit_code == 2
    assert "COMFYUI_URL" in result.stderr


def test_one_id_is_one_worker(tmp_path: Path) -> None:
    urls = ["--comfyui", "http://127.0.0.1:1", "--comfyui", "http://127.0.0.1:2"]
    options = ["--data-dir", str(tmp_path), "--worker-id", "w"]
    assert CliRunner().invoke(app, ["worker", *urls, *options]).exit_code == 2


def test_texts_of_workflows_are_shown_as_they_are(api: FakeApi) -> None:
    note = {"type": "string", "description": "For [dev] and [/b].", "default": "[bold]"}
    api.workflow("flux-schnell", note=note | {"enum": ["[bold]", "[red]"]})
    view = {"name": "flux-dev", "title": "FLUX.1 [dev]", "description": "Of [dev] [/x]."}
    api.answers["/workflows/flux-dev"].clear()
    api.answer("/workflows/flux-dev", view | {"parameters": {"properties": {"note": note}}})
    shown = " ".join(run(api, "submit", "flux-dev", "--help").stdout.split())
    assert "FLUX.1 [dev]. Of [dev] [/x]." in shown
    assert "For [dev] and [/b]." in shown
    assert "[default: ([bold])]" in shown
    assert "One of: [bold], [red]" in run(api, "submit", "flux-schnell", "--help").stdout


def test_an_empty_list_of_dead_letters_is_said(api: FakeApi) -> None:
    api.answer("/dead", {"letters": [], "next_cursor": None})
    listed = run(api, "dead", "list")
    assert (listed.stdout, listed.stderr) == ("", "no dead letters\n")


def test_the_frame_of_an_ended_job_says_if_it_was_simulated(api: FakeApi) -> None:
    api.answer(PATH, api.job(status="completed", seq=4, simulated=True))
    [shown] = map(json.loads, run(api, "watch", JOB, "--json").stdout.splitlines())
    assert shown["simulated"] is True


def test_requests_of_a_batch_are_named_by_their_lines(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text("\n\n" + "".join(f'{{"seed": {n}}}\n' for n in range(502)))
    refused = {"code": "invalid-parameters", "detail": "seed: no"}
    for size in (500, 2):
        items: list[Any] = [{"index": n, "job": None, "error": None} for n in range(size)]
        items[1]["error"] = refused
        counts = {"refused": 1, "failed": 0, "canceled": 0, "gone": 0}
        api.answer("/generate/batch", {"batch_id": "b", "counts": counts, "items": items})
    ended = run(api, "batch", file)
    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == ["line 4: seed: no", "line 504: seed: no"]


def test_a_wide_list_and_a_status_say_how_prompts_begin(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = api.job(title="[a] fox")
    api.answer("/generate", {"jobs": [job, api.job()], "next_cursor": None})
    api.answer(f"/generate/{job['id']}", job)
    header, first, _ = run(api, "list").stdout.splitlines()
    assert header.split()[-2:] == ["created", "title"]
    assert first.rstrip().endswith("[a] fox")
    monkeypatch.setattr("comfyq.cli.printing.PIPE_COLUMNS", 120)
    assert "title" not in run(api, "list").stdout
    assert "[a] fox" in run(api, "status", job["id"]).stdout


def test_a_list_says_what_waiting_jobs_wait_for(api: FakeApi) -> None:
    jobs = [api.job(status="queued", waits_for="a worker"), api.job(status="completed")]
    pages = [{"jobs": each, "next_cursor": None} for each in (jobs, jobs[1:])]
    api.answer("/generate", *pages)
    header, first, _ = run(api, "list").stdout.splitlines()
    assert header.rstrip().endswith("waits for")
    assert first.rstrip().endswith("a worker")
    assert "waits for" not in run(api, "list").stdout


def test_a_status_says_how_far_the_models_of_a_job_have_come(api: FakeApi) -> None:
    at = {"bytes": 1_234_000_000, "total": 23_800_000_000, "eta_s": 61}
    job = api.job(status="queued", waits_for="its models, which its worker fetches")
    api.answer(PATH, job | {"provisioning": at})
    shown = run(api, "status", job["id"]).stdout
    assert "1,234 of 23,800 MB of its models, 61 s left" in " ".join(shown.split())


def test_a_usual_address_without_a_server_is_told_of_the_way_to_another(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = 'eval "$(comfyq env)"'
    free = "http://127.0.0.1:1"
    assert hint not in CliRunner().invoke(app, ["--url", free, "health"]).stderr
    monkeypatch.setattr("comfyq.cli.client.DEFAULT_URL", free)
    ended = CliRunner().invoke(app, ["--url", free, "health"])
    assert (ended.exit_code, hint in ended.stderr) == (3, True)
