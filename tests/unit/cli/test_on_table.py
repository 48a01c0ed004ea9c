"""Commands that work on the table itself, where there is none yet or a server is named."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from comfyq.cli.app import app
from comfyq.domain.api_key import KEY
from tests.cells import Cells

READING = (
    "webhooks secret",
    "webhooks show",
    "webhooks rotate",
    "webhooks delete",
    "webhooks test",
    "keys list",
    "keys revoke x",
    "audit",
    "tenants list",
    "tenants show a",
    "tenants delete-data a --yes",
)
MAKING = (
    "keys create laptop",
    "webhooks set https://receiver.example/",
    "tenants limit a --jobs-per-day 5",
    "tenants retention a 90d",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands in a folder without a data directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, **environment: str) -> Result:
    names = ("DATA_DIR", "URL", "API_KEY", "PROFILE")
    unset = {f"COMFYQ_{name}": environment.get(f"COMFYQ_{name}") for name in names}
    settings = {"COMFYQ_BACKEND": "embedded", **unset, **environment}
    return CliRunner().invoke(app, command.split(), env=settings)


def test_without_a_data_directory_only_what_makes_something_begins_one(here: Path) -> None:
    with Cells() as cells:
        for command in READING:
            with cells.cell(command):
                refused = run(command)
                assert (refused.exit_code, refused.stdout) == (2, "")
                assert len(refused.stderr.splitlines()) == 1
                for said in (str(here / ".comfyq"), "--data-dir", "COMFYQ_DATA_DIR"):
                    assert said in refused.stderr
                assert list(here.iterdir()) == []
    with Cells() as cells:
        for number, command in enumerate(MAKING):
            with cells.cell(command):
                folder = here / f"data-{number}"
                made = run(f"{command} --data-dir {folder}")
                assert made.exit_code == 0
                assert f"a new data directory: {folder};" in made.stderr
                assert str(folder) not in run(f"{command} --data-dir {folder}").stderr


def test_a_server_that_is_named_is_said_not_to_be_asked(here: Path) -> None:
    made = run("--url http://gpu.lan:8000 keys create laptop")
    assert KEY.fullmatch(made.stdout.strip())
    assert "--url is not used" in made.stderr
    folder = f"works on the data directory {here / '.comfyq'} itself"
    at = "http://gpu.lan:8000"
    with Cells() as cells:
        for name, command, environment in (
            ("--url", f"--url {at} keys list", {}),
            ("--api-key", "--api-key cq_a_b keys list", {}),
            ("--profile", "--profile lab keys list", {}),
            ("COMFYQ_URL", "keys list", {"COMFYQ_URL": at}),
            ("COMFYQ_PROFILE", "keys list", {"COMFYQ_PROFILE": "lab"}),
        ):
            with cells.cell(name):
                listed = run(command, **environment)
                assert f"{name} is not used" in listed.stderr
                assert folder in listed.stderr
                assert "laptop" in listed.stdout
    refused = run(f"--url {at} webhooks secret --data-dir elsewhere")
    assert (refused.exit_code, "--url is not used" in refused.stderr) == (2, True)
    joined = {"COMFYQ_URL": at, "COMFYQ_DATA_DIR": str(here / ".comfyq")}
    assert run("keys list", **joined).stderr == "", "as `comfyq env` names both"


def test_where_a_server_keeps_its_jobs_elsewhere_its_settings_are_asked_for(here: Path) -> None:
    (here / ".comfyq" / "up").mkdir(parents=True)  # as of `comfyq up --backend emulator`
    refused = run("webhooks secret")
    assert refused.exit_code == 2
    assert "comfyq env" in refused.stderr
    assert not (here / ".comfyq" / "comfyq.db").exists()
