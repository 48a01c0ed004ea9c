"""What a shell is told on TAB, and ``comfyq workers``."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from comfyq.cli.app import app
from tests.fake_api import JOB, FakeApi, fake_api

BATCH = {"batch_id": "22222222-b", "size": 3}
WORKFLOWS = {
    "workflows": [{"name": "flux-dev", "title": "FLUX.1 dev"}, {"name": "sdxl", "title": "SDXL"}]
}
WORKER = {
    "id": "w1",
    "host": "gpu-box",
    "comfyui_version": "0.33.0",
    "devices": ["NVIDIA L4"],
    "simulated": False,
    "family": "flux",
    "jobs": [{"id": JOB, "progress": 0.25}],
    "faults": ["its disk is full"],
    "draining": True,
}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        yield running


def completed(line: str, *, url: str, home: Path) -> list[str]:
    """Return what bash is told for the last word of a line."""
    words = line.split(" ")
    environment = {
        "_COMFYQ_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "COMFYQ_URL": url,
        "XDG_CONFIG_HOME": str(home),
    }
    told = CliRunner().invoke(app, [], prog_name="comfyq", env=environment)
    assert told.exit_code == 0, told.output
    return told.stdout.split()


def test_names_of_the_server_are_completed(api: FakeApi, tmp_path: Path) -> None:
    api.answer("/workflows", WORKFLOWS)
    api.answer("/generate", {"jobs": [api.job()], "next_cursor": None})
    api.answer("/generate/batch", {"batches": [BATCH], "next_cursor": None})
    api.workflow(steps={"type": "integer"}, strength={"type": "number"})

    def told(line: str) -> list[str]:
        return completed(line, url=api.url, home=tmp_path)

    assert told("comfyq submit ") == ["flux-dev", "sdxl"]
    assert told("comfyq submit fl") == ["flux-dev"]
    assert told("comfyq submit flux-dev --st") == ["--steps", "--strength"]
    assert told("comfyq list --workflow s") == ["sdxl"]
    assert told("comfyq list --batch ") == [BATCH["batch_id"]]
    assert told("comfyq show ") == [JOB]
    assert told("comfyq watch ") == [JOB, BATCH["batch_id"]]
    assert told("comfyq delete 2") == [BATCH["batch_id"]]


def test_the_server_is_the_one_that_the_line_names(api: FakeApi, tmp_path: Path) -> None:
    api.answer("/workflows", WORKFLOWS)
    away = "http://127.0.0.1:1"
    assert completed("comfyq submit ", url=away, home=tmp_path) == []
    by_option = f"comfyq --url {api.url} submit "
    assert completed(by_option, url=away, home=tmp_path) == ["flux-dev", "sdxl"]
    shown = CliRunner().invoke(
        app,
        ["profiles", "add", "gpu", "--url", api.url, "--api-key", "a-key", "--json"],
        env={"XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert json.loads(shown.stdout)["shows"] == "key"
    assert completed("comfyq --profile ", url="", home=tmp_path) == ["gpu"]
    assert completed("comfyq profiles use ", url="", home=tmp_path) == ["gpu"]
    assert completed("comfyq submit s", url="", home=tmp_path) == ["sdxl"]
    assert api.requests[-1][2]["Authorization"] == "Bearer a-key"


@pytest.mark.parametrize("line", ["comfyq watch ", "comfyq submit flux-dev --no-w", "comfyq w"])
def test_without_a_server_nothing_is_said_of_it(line: str, tmp_path: Path) -> None:
    known = {
        "comfyq submit flux-dev --no-w": ["--no-wait"],
        "comfyq w": ["watch", "workers", "worker", "webhooks", "workflows"],
    }
    told = completed(line, url="http://127.0.0.1:1", home=tmp_path)
    assert told == known.get(line, [])


def test_something_that_is_no_comfyq_completes_nothing(api: FakeApi, tmp_path: Path) -> None:
    api.answer("/workflows", {"unlike": "ours"}, b"<html>")
    for _ in range(2):
        assert completed("comfyq submit ", url=api.url, home=tmp_path) == []


def test_workers_are_listed(api: FakeApi) -> None:
    storing = WORKER | {"models": ["ab" * 8], "models_room": 7 * 10**9}
    told = [[WORKER], [WORKER], [], [storing, WORKER]]
    api.answer("/workers", *({"workers": each} for each in told))

    def run(*options: str) -> tuple[int, str, str]:
        ran = CliRunner().invoke(app, ["--url", api.url, "workers", *options])
        return ran.exit_code, ran.stdout, ran.stderr

    code, shown, _ = run()
    assert code == 0
    for each in (
        "w1",
        "gpu-box",
        "0.33.0",
        "NVIDIA L4",
        f"{JOB} 25%",
        "its disk is full; draining",
    ):
        assert each in shown
    assert json.loads(run("--json")[1]) == {"workers": [WORKER]}
    assert "comfyq worker" in run()[2]
    assert "store" not in shown
    assert "1 model, room for 7.0 GB" in run()[1]
