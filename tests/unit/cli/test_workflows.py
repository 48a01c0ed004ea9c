"""``comfyq workflows`` for authors, in folders of their own."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from comfyq.cli.app import app

EXPORT = Path(__file__).parents[2] / "data" / "graphs" / "sdxl-export.json"


def run(*arguments: str, folder: Path) -> Result:
    environment = {"COMFYQ_WORKFLOWS_DIR": str(folder)}
    return CliRunner().invoke(app, ["workflows", *arguments], env=environment)


def test_the_command_that_an_import_prints_checks_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, own = tmp_path / "of the server", tmp_path / "my own"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    made = run("import", str(EXPORT), "--name", "storm", folder=served)
    assert made.exit_code == 0, made.output
    assert f"  comfyq workflows check '{served / 'storm'}'\n" in made.stdout
    assert "without a restart" in made.stdout
    assert "ok" in run("check", str(served / "storm"), folder=served).stdout
    (served / "storm" / "models.lock").write_text("version = 7")
    broken = run("check", str(served / "storm"), folder=served)
    assert broken.exit_code == 2
    assert "models.lock: has the version 7" in broken.output
    (served / "storm" / "models.lock").unlink()
    beside = run("import", str(EXPORT), "--name", "storm", "--into", str(own), folder=served)
    assert f"COMFYQ_WORKFLOWS_DIR='{own}'" in beside.stdout
    missed = run("check", "workflows/storm", folder=served)
    assert missed.exit_code == 2
    assert f"did you mean {served / 'storm'}?" in missed.stderr


def test_nothing_is_imported_into_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Path("/usr/lib/comfyq")
    monkeypatch.setattr("comfyq.cli.commands.workflows.PACKAGE", package)
    refused = run("import", str(EXPORT), folder=package / "workflows")
    assert refused.exit_code == 2
    for told in ("belongs to the installed package", "--into workflows", "COMFYQ_WORKFLOWS_DIR"):
        assert told in refused.stderr
