"""The table of the commands, and when their modules are imported."""

import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from comfyq.cli.app import app
from comfyq.cli.command_table import ENTRIES, GROUPS
from comfyq.cli.errors import CannotStart
from comfyq.cli.lazy import CommandEntry, LazyCommand

HEAVY = {"aiohttp", "boto3", "fastapi", "rich.progress", "httpx2", "urllib3", "websocket"}
RUN = """
import sys
from comfyq.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print(*sys.modules, file=sys.stderr)
"""
LOAD = """
import gc, sys
from comfyq.cli.command_table import ENTRIES
from comfyq.cli.lazy import LazyCommand
[entry] = [entry for entry in ENTRIES if entry.name == "up"]
LazyCommand(entry).load()
from comfyq.wire.quota import QuotaView
print(*(name for name, module in sys.modules.items() if module))
print(gc.isenabled(), gc.get_freeze_count() > 100_000, QuotaView.__pydantic_complete__)
print(QuotaView.model_json_schema()["required"][0])
"""


def imported_by(*arguments: str) -> set[str]:
    """The modules that a run of ``comfyq`` has imported."""
    ended = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, check=True
    )
    return set(ended.stderr.split())


@pytest.mark.parametrize("arguments", [("--help",), ("infra", "--help")], ids=" ".join)
def test_help_imports_no_command(arguments: tuple[str, ...]) -> None:
    modules = imported_by(*arguments)
    targets = {f"comfyq.cli.commands.{entry.target.partition(':')[0]}" for entry in ENTRIES}
    assert modules & (HEAVY | targets) == set()


def test_a_command_imports_its_own_module_alone() -> None:
    modules = imported_by("status", "--help")
    assert "comfyq.cli.commands.jobs" in modules
    assert (
        modules & {"comfyq.cli.commands.up", "comfyq.cli.commands.submitting", "fastapi", "aiohttp"}
        == set()
    )


def test_a_server_starts_without_what_no_request_has_asked_for() -> None:
    ended = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    modules, collector, built = ended.stdout.splitlines()
    assert {"boto3", "botocore", "jwt", "minio", "pydantic.v1"} & set(modules.split()) == set()
    assert collector == "True True False"
    assert built == "tenant"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_table_says_what_the_command_says(entry: CommandEntry) -> None:
    command = LazyCommand(entry).load()
    assert command.help.split("\n\n")[0] == entry.help


def test_every_command_may_speak_json() -> None:
    """A demonstration is for people alone."""
    mute = [
        entry.name
        for entry in ENTRIES
        if not any("--json" in each.opts for each in LazyCommand(entry).load().params)
    ]
    assert mute == ["demo"]


def test_every_command_of_a_group_has_its_group() -> None:
    assert {entry.name.split()[0] for entry in ENTRIES if " " in entry.name} == GROUPS.keys()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_command_shows_its_help(entry: CommandEntry) -> None:
    result = CliRunner().invoke(app, [*entry.name.split(), "--help"])
    assert result.exit_code == 0, result.output
    assert f"Usage: comfyq {entry.name}" in result.output


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that is not installed, which a command needs."""
    name = "a_package_that_nobody_has"
    module = sys.modules["comfyq.cli.lazy"]

    def refuse(_: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(module, "import_module", refuse)
    return name


def test_a_package_that_is_missing_is_named(missing: str) -> None:
    with pytest.raises(CannotStart, match=missing):
        LazyCommand(ENTRIES[0]).load()
    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == 2
    assert missing in result.stderr
    assert "comfyq[all]" in result.stderr
