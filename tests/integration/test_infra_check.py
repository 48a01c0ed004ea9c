"""``comfyq infra check`` of a running deployment on the emulator."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Process, Processes, clean_env


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    processes = Processes(tmp_path_factory.mktemp("up"))
    try:
        yield processes.up(backend="emulator", workers=0)
    finally:
        processes.close()


def check(home: Path, url: str, env: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """The exit code, and the findings by their subjects."""
    done = subprocess.run(
        [sys.executable, "-m", "comfyq.cli", "--url", url, "infra", "check", "--json"],
        capture_output=True,
        text=True,
        env=clean_env(home, env),
        check=False,
    )
    assert not done.stderr
    return done.returncode, {findings["subject"]: findings for findings in json.loads(done.stdout)}


def test_only_the_worker_is_missing(up: Process, tmp_path: Path) -> None:
    code, findings = check(tmp_path, up.url, up.exports)
    states = {subject: each["state"] for subject, each in findings.items()}
    assert (code, states.pop("workers")) == (1, "wrong")
    assert "no worker is connected" in findings["workers"]["told"]
    assert set(states.values()) == {"ok"}
    assert {"table: write", "queue: receive", "files: outputs", "sockets: connect"} <= set(states)


def test_names_of_another_deployment_are_told(up: Process, tmp_path: Path) -> None:
    wrong = {"COMFYQ_TABLE": "nowhere", "COMFYQ_BUCKET": "nowhere-at-all"}
    code, findings = check(tmp_path, up.url, {**up.exports, **wrong})
    assert code == 1
    for subject in ("table: read", "table: write", "table: delete", "files: outputs"):
        assert findings[subject]["state"] == "wrong"
        assert "COMFYQ_TABLE" in findings[subject]["remedy"]
    assert findings["queue: hide, delete"]["state"] == "ok"


def test_nobody_there(tmp_path: Path) -> None:
    code, findings = check(tmp_path, "http://127.0.0.1:9", {})
    assert (code, findings["api"]["state"]) == (1, "wrong")
    assert findings["rights"]["told"].startswith("not tried")
