"""``comfyq doctor`` on machines of which something is wrong, or nothing."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from comfyq import __version__
from comfyq.bootstrap.runtime_file import runtime_file
from comfyq.cli.app import app
from tests.fake_api import fake_api
from tests.paths import WORKFLOWS

SCHEMA_OF_LATER = "PRAGMA user_version = 99"


@pytest.fixture
def workflows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(WORKFLOWS / "sd15", tmp_path / "workflows" / "sd15")
    monkeypatch.setenv("COMFYQ_WORKFLOWS_DIR", str(tmp_path / "workflows"))
    monkeypatch.setenv("COMFYQ_MIN_FREE_BYTES", "0")
    return tmp_path / "workflows"


@pytest.fixture
def data(tmp_path: Path, workflows: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def examined(data: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the findings by their subjects."""
    arguments = ["doctor", "--json", "--data-dir", str(data), *options]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, {each["subject"]: each for each in json.loads(result.stdout)}


def states(findings: dict[str, Any]) -> set[str]:
    return {each["state"] for each in findings.values()}


def test_a_new_machine_has_nothing_wrong(data: Path) -> None:
    code, findings = examined(data / "not yet")
    assert (code, states(findings)) == (0, {"ok"})
    assert findings["comfyq"]["told"].startswith(__version__)
    assert "none runs" in findings["server"]["told"]


def test_a_broken_workflow_is_wrong(data: Path, workflows: Path) -> None:
    (workflows / "sd15" / "graph.json").write_text("{")
    code, findings = examined(data)
    assert (code, findings["workflow sd15"]["state"]) == (1, "wrong")
    assert "graph.json:1" in findings["workflow sd15"]["told"]


def test_a_misspelt_setting_is_a_warning(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYQ_DEPHT", "1")
    code, findings = examined(data)
    assert (code, findings["settings"]["state"]) == (0, "warning")
    assert findings["settings"]["remedy"] == "did you mean COMFYQ_DEPTH?"


def test_a_data_directory_that_is_a_file_is_wrong(data: Path) -> None:
    (data / "file").write_text("")
    code, findings = examined(data / "file")
    assert (code, findings["data directory"]["state"]) == (1, "wrong")


def test_a_full_disk_is_wrong(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYQ_MIN_FREE_BYTES", str(10**18))
    code, findings = examined(data)
    assert (code, findings["disk"]["state"]) == (1, "wrong")


def test_a_newer_data_directory_is_wrong(data: Path) -> None:
    with closing(sqlite3.connect(data / "comfyq.db")) as connection:
        connection.execute(SCHEMA_OF_LATER)
    code, findings = examined(data)
    assert (code, findings["database"]["state"]) == (1, "wrong")
    assert "update comfyq" in findings["database"]["told"]


def test_no_database_is_wrong(data: Path) -> None:
    (data / "comfyq.db").write_bytes(b"no database " * 1_000)
    code, findings = examined(data)
    assert (code, findings["database"]["state"]) == (1, "wrong")


def test_a_comfyui_that_does_not_answer_is_wrong(data: Path) -> None:
    code, findings = examined(data, "--comfyui", "127.0.0.1:9")
    assert (code, findings["ComfyUI"]["state"]) == (1, "wrong")
    assert "http://127.0.0.1:9" in findings["ComfyUI"]["told"]


def test_an_outputs_folder_that_cannot_be_written_is_wrong(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "file").write_text("")
    monkeypatch.setenv("COMFYQ_OUTPUTS_DIR", str(data / "file" / "pictures"))
    code, findings = examined(data)
    assert (code, findings["outputs folder"]["state"]) == (1, "wrong")


def test_folders_and_comfyui_are_those_of_the_running_server(
    data: Path, workflows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMFYQ_WORKFLOWS_DIR")
    served = {"COMFYQ_WORKFLOWS_DIR": str(workflows), "comfyui": "http://127.0.0.1:9"}
    with runtime_file(data, {"COMFYQ_URL": "http://127.0.0.1:9"} | served):
        _, findings = examined(data)
    assert findings["workflows"]["told"] == f"1 in {workflows}"
    assert "http://127.0.0.1:9" in findings["ComfyUI"]["told"]


def test_the_running_server_is_asked(data: Path) -> None:
    worker = {"id": "w1", "comfyui_available": True, "version": __version__}
    health = {"status": "healthy", "reason": None, "version": __version__, "simulated": False}
    lacking = {"name": "flux-dev", "available": False, "reasons": ["flux1-dev is not there"]}
    with fake_api() as api, runtime_file(data, {"COMFYQ_URL": api.url}):
        api.answer("/health", health | {"workers": [worker]})
        forbidden = {"name": "sd15", "reasons": ["so it is"], "forbidden": True}
        api.answer("/workflows", {"workflows": [lacking, forbidden | {"available": False}]})
        code, findings = examined(data)
    assert (code, findings["workflow flux-dev"]["state"]) == (0, "warning")
    assert findings["workflow flux-dev"]["told"].startswith("cannot run")
    assert findings["workflow sd15"]["told"].startswith("may not run")
    assert findings["workers"]["told"] == "1 live"
    assert api.url in findings["server"]["told"]


@pytest.mark.parametrize(("status", "state"), [("healthy", "ok"), ("degraded", "wrong")])
def test_a_server_that_tells_strangers_little_is_judged_by_its_status(
    data: Path, status: str, state: str
) -> None:
    names = ("reason", "simulated", "stalls", "broken_workflows", "workers")
    health = {"status": status, "version": __version__, **dict.fromkeys(names)}
    refused = {"status": 401, "code": "unauthenticated", "detail": "send an API key"}
    with fake_api() as api, runtime_file(data, {"COMFYQ_URL": api.url}):
        api.answer("/health", health)
        api.answer("/workflows", refused, status=401)
        code, findings = examined(data)
    assert (code, findings["workers"]["state"]) == (int(state == "wrong"), state)
    told = findings["workers"]
    assert "COMFYQ_API_KEY" in f"{told['told']} {told['remedy']}"


def test_a_server_of_another_version_is_told(data: Path) -> None:
    worker = {"id": "w1", "comfyui_available": True, "version": "0.1.9"}
    health = {"status": "healthy", "reason": None, "version": "0.1.9", "simulated": False}
    with fake_api() as api, runtime_file(data, {"COMFYQ_URL": api.url}):
        api.answer("/health", health | {"workers": [worker]})
        api.answer("/workflows", {"workflows": []})
        code, findings = examined(data)
    assert (code, findings["versions"]["state"]) == (0, "warning")
    assert findings["versions"]["told"] == f"the server runs 0.1.9, this command is {__version__}"


def test_traces_that_are_wanted_and_cannot_be_made_are_told(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    assert "traces" not in examined(data)[1]
    monkeypatch.setattr("comfyq.bootstrap.machine.doctor.find_spec", lambda _: None)
    code, findings = examined(data)
    assert (code, findings["traces"]["state"]) == (0, "warning")
    assert "otel" in findings["traces"]["remedy"]
