"""Arguments that nobody means, and machines that refuse: one line that says so, never a defect."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from blake3 import blake3
from typer.testing import CliRunner, Result

from comfyq.cli.app import app
from comfyq.cli.batches.results import named_rows
from comfyq.cli.findings import report
from comfyq.cli.texts.controls import CONTROLS
from comfyq.domain.diagnosis import Finding, FindingState
from tests.cells import Cells
from tests.fake_api import JOB, FakeApi, fake_api

PICTURE = b"some picture"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        running.workflow(cfg={"type": "number"})
        yield running


def run(api: FakeApi, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["--url", api.url, *map(str, arguments)])


def test_an_id_of_a_variable_that_is_not_set_asks_for_nothing(api: FakeApi) -> None:
    commands = ("status", "show", "cancel", "retry", "download", "open", "watch", "delete")
    with Cells() as cells:
        for command in [*commands, "dead show", "dead redrive", "files delete"]:
            for target in ("", ".", ".."):
                with cells.cell(f"{command} {target!r}"):
                    ended = run(api, *command.split(), target)
                    assert (ended.exit_code, ended.stdout) == (2, "")
                    assert f"{target!r} is no id; `comfyq " in ended.stderr
    assert api.requests == []


def test_values_that_an_option_does_not_take_are_told_in_words_of_our_own(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    api.workflow("flux-dev", steps={"type": "integer"})
    api.answers["/workflows/flux-dev"].popleft()
    told = {
        "list --status runing": "cannot be 'runing'; did you mean 'running'? it is one of queued, ",
        "webhooks set https://a.example --event fail": "did you mean 'failed'? it is one of queued",
        "keys create a --scope x": "cannot be 'x'; it is one of submit, graph, ",
        "submit flux-dev fox --steps abc": "'abc' is no whole number",
        "list --limit 0": "is 0; the least is 1",
        "list --limit 101": "is 101; the most is 100",
        "mcp --wait soon": "'soon' is no number",
    }
    with Cells() as cells:
        for command, words in told.items():
            with cells.cell(command):
                refused = run(api, *command.split())
                assert (refused.exit_code, refused.stdout) == (2, "")
                assert words in refused.stderr
                assert "Value error" not in refused.stderr
                assert "Input should" not in refused.stderr


def test_values_that_no_json_has_are_wrong_usage(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text('{"prompt": "a fox", "cfg": NaN}\n')
    deep = tmp_path / "deep.jsonl"
    deep.write_text("[" * 100_000)
    commands: list[tuple[object, ...]] = [
        ("submit", "a fox", "--cfg", "nan"),
        ("submit", "a fox", "--cfg", "-inf"),
        ("submit", "a fox \udcff"),
        ("batch", file),
        ("batch", deep),
    ]
    with Cells() as cells:
        for command in commands:
            with cells.cell(ascii(command)):
                ended = run(api, *command)
                assert ended.exit_code == 2, ended.stderr
                assert "JSON" in ended.stderr
    assert {method for method, *_ in api.requests} == {"GET"}


def test_a_path_of_a_variable_that_is_not_set_is_said_to_be_empty(api: FakeApi) -> None:
    api.workflow("redraw", image={"type": "string", "x-kind": "image"})
    ended = run(api, "submit", "redraw", "a fox", "--image", "")
    assert (ended.exit_code, "a path is empty" in ended.stderr) == (2, True)


def test_a_folder_that_is_a_file_is_named(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    output = api.output(PICTURE, blake3=blake3(PICTURE).hexdigest())
    api.answer(f"/generate/{JOB}", api.job(status="completed", outputs=[output]))
    ended = run(api, "download", JOB, "--out", tmp_path / "taken")
    assert ended.exit_code == 2
    assert ended.stderr == f"comfyq: {tmp_path / 'taken'}: File exists\n"


def test_something_else_at_the_url_is_told(api: FakeApi) -> None:
    for path in ("/generate", f"/generate/{JOB}", "/generate/batch", "/health", "/workers"):
        api.answer(path, {})
    commands = (
        ("list",),
        ("list", "--batches"),
        ("status", JOB),
        ("submit", "a fox"),
        ("health",),
        ("workers",),
    )
    for command in commands:
        ended = run(api, *command)
        assert (ended.exit_code, "not comfyq" in ended.stderr) == (3, True), command


def test_a_garbled_refusal_is_told(api: FakeApi) -> None:
    garbled: tuple[object, ...] = (5, None, ["a"], [{}])
    for errors in garbled:
        api.answer(f"/generate/{JOB}", {"code": "odd", "errors": errors}, status=422)
    for _ in garbled:
        ended = run(api, "status", JOB)
        assert (ended.exit_code, "refused (422 odd)" in ended.stderr) == (2, True)


def test_names_of_files_are_short_in_any_script() -> None:
    [row] = named_rows([("line 1", {"prompt": "狐" * 200})], "prompt")
    assert 100 < len(row.name.encode()) <= 120
    assert set(row.name) == {"狐"}


@pytest.mark.parametrize(("no_color", "colored"), [("1", False), ("", True)])
def test_findings_are_plain_for_who_wants_no_colors(
    monkeypatch: pytest.MonkeyPatch, no_color: str, colored: bool
) -> None:
    said: list[str] = []
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(typer, "echo", said.append)
    report([Finding("disk", FindingState.OK, "there is room")], as_json=False)
    assert ("\x1b" in said[0]) is colored


STEERING = "\x1b]0;a title\x07\x1b[2Jgone\x9b1m\u202egpj.exe"


def test_texts_of_others_do_not_steer_the_terminal(api: FakeApi, tmp_path: Path) -> None:
    job = api.job(status="failed", error=STEERING, warnings=[STEERING], labels={"a": STEERING})
    api.answer(f"/generate/{JOB}", job)
    api.answer("/generate", {"jobs": [job], "next_cursor": STEERING})
    share = {"used": 0, "limit": 1}
    day = {"limit": None}
    used = {"jobs_per_day": day, "waiting_jobs": share, "stored_bytes": share}
    api.answer("/quota", {"tenant": STEERING, "requests": [], **used})
    api.answer("/dead/a", {"code": "odd", "detail": STEERING}, status=404)
    api.answer("/assets", {"assets": [], "next_cursor": STEERING})
    api.answer("/dead", {"letters": [], "next_cursor": STEERING})
    odd = api.job(id=STEERING)
    api.answer("/generate", odd, status=202)
    api.answer(f"/generate/{JOB}/retry", odd, status=202)
    counts = {"counts": {"queued": 1}, "items": [{"index": 0, "job": odd, "error": None}]}
    api.answer("/generate/batch", {"batch_id": STEERING, "size": 1} | counts, status=202)
    api.answer("/assets", {"source": STEERING})
    redriven = {"letter": {"id": STEERING}, "outcome": "retried"}
    api.answer("/dead/a/redrive", redriven)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a fox"}')
    lists = (("list",), ("files", "list"), ("dead", "list"))
    shown = (("status", JOB), ("watch", JOB), ("dead", "show", "a"), ("quota",))
    made = (("submit", "a fox"), ("retry", JOB), ("batch", rows), ("upload", rows))
    for command in (*lists, *shown, *made, ("dead", "redrive", "a")):
        told = run(api, *command)
        assert CONTROLS.search(told.output) is None, command
        assert "\\x1b]0;a title\\x07" in told.output, command
        assert "\\u202egpj.exe" in told.output, command
