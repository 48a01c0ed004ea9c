"""Pauses of the commands that tests have no time for, and a data directory of theirs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from comfyq.cli.app import app
from comfyq.client.sender import Patience


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make looks at what is not pushed, and tries of a server that is away, follow at once."""
    pauses = {"pause_s": 0.001, "longest_pause_s": 0.01}
    monkeypatch.setattr("comfyq.client.flows.following.LOOK", Patience(**pauses))
    monkeypatch.setattr("comfyq.cli.client.PATIENT", Patience(give_up_s=30, **pauses))
    return monkeypatch


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Return a data directory that has a table."""
    folder = tmp_path / "data"
    arguments = ["tenants", "limit", "first", "--reset", "--data-dir", str(folder)]
    made = CliRunner().invoke(app, arguments, env={"COMFYQ_BACKEND": "embedded"})
    assert made.exit_code == 0, made.output
    return folder
