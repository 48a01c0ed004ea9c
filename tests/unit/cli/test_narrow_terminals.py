"""What stays readable where a terminal has few columns."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rich.text import Text
from typer.testing import CliRunner

from comfyq.cli.app import app
from comfyq.cli.terminal.progress import shown_batch, shown_frames, shown_together
from tests.fake_api import JOB, FakeApi, fake_api, frame


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        yield running


@pytest.fixture(params=[40, 80])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    for name, value in {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": request.param}.items():
        monkeypatch.setenv(name, str(value))
    width: int = request.param
    return width


def test_80_columns_have_room_for_whole_ids(api: FakeApi, columns: int) -> None:
    done = api.job(status="completed", progress=1.0)
    api.answer("/generate", {"jobs": [done, api.job(workflow="flux-schnell")], "next_cursor": None})
    listed = CliRunner().invoke(app, ["--url", api.url, "list"])
    assert listed.exit_code == 0, listed.output
    plain = Text.from_ansi(listed.stdout).plain
    assert max(map(len, plain.splitlines())) <= columns
    assert (JOB in plain) is (columns == 80)


def test_each_state_of_a_batch_has_a_bar_as_soon_as_a_request_is_in_it(
    columns: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def summary(*counts: int) -> dict[str, Any]:
        states = ("queued", "running", "completed", "failed")
        return {"batch_id": "b", "progress": 0.5, "counts": dict(zip(states, counts, strict=True))}

    with shown_batch(as_json=False) as show:
        show(summary(3, 1, 0, 0))
        assert "failed" not in capsys.readouterr().err
        show(summary(2, 0, 1, 1))
        show(summary(0, 0, 3, 1))
    last = capsys.readouterr().err.splitlines()[-6:-1]
    told = [" ".join(re.sub("[━╸╺]", "", Text.from_ansi(line).plain).split()) for line in last]
    assert [re.sub(r" \d+:\d\d:\d\d", "", line) for line in told] == [
        "batch 50%",
        "queued 0% 0 of 4",
        "running 0% 0 of 4",
        "completed 75% 3 of 4",
        "failed 25% 1 of 4",
    ]
    assert any("━" in line for line in last) is (columns == 80)


def test_how_much_is_done_stands_beside_the_state(
    columns: int, capsys: pytest.CaptureFixture[str]
) -> None:
    running = frame(2, progress=0.5, node_class="KSampler", eta_s=7) | {"step": 3, "max_steps": 20}
    batch = {"batch_id": "b", "progress": 0.5, "counts": {"running": 1, "queued": 300}}
    with shown_frames(as_json=False) as show:
        show(running)
    with shown_together("another", running["job_id"], as_json=False) as show:
        show(running)
        assert "another" not in capsys.readouterr().err, "it has no frame yet"
        show(running | {"job_id": "another", "status": "queued"})
    with shown_batch(as_json=False) as show:
        show(batch)
    told = capsys.readouterr().err
    assert re.search(r"anoth\S+ +queued.*\n.*running", told), "bars stand as they were asked for"
    for words in ("running", "batch", "50%", "KSampler 3/20"):
        assert words in told
    assert ("━" in told) is (columns == 80)
