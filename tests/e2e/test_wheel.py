"""comfyq without its repository: what is built has all that it serves with."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest
import urllib3

from comfyq import __version__
from tests.paths import ROOT, WORKFLOWS

NAME = f"comfyq-{__version__}"
METADATA = f"{NAME}.dist-info"
NOTICE = "/THIRD_PARTY.txt"  # licences of what others wrote
FOREIGN = ("COMFYQ_", "AWS_", "COMFYUI_", "PIP_REQUIRE", "PYTHON", "VIRTUAL_ENV")
START_S = 60.0


def build(kind: str, *, source: Path, into: Path) -> None:
    """Build with what the project's own build names as its backend."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is built from the source distribution, without anything beside that."""
    folder = tmp_path_factory.mktemp("built")
    build("sdist", source=ROOT, into=folder)
    with tarfile.open(folder / f"{NAME}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    build("wheel", source=folder / NAME, into=folder)
    return folder / f"{NAME}-py3-none-any.whl"


@pytest.fixture(scope="module")
def files(wheel: Path) -> Mapping[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def below(folder: Path) -> dict[str, bytes]:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "."], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    return {name: (folder / name).read_bytes() for name in tracked.split("\0") if name}


def test_it_has_every_file_of_the_packages(files: Mapping[str, bytes]) -> None:
    library = below(ROOT / "lib")
    assert "comfyq/py.typed" in library
    assert {name: files.get(name) for name in library} == library


def test_it_has_the_workflows_and_the_template(files: Mapping[str, bytes]) -> None:
    shipped = {f"comfyq/workflows/{name}": content for name, content in below(WORKFLOWS).items()}
    shipped["comfyq/template.yaml"] = (ROOT / "template.yaml").read_bytes()
    assert {name: files.get(name) for name in shipped} == shipped


def test_it_has_nothing_else(files: Mapping[str, bytes]) -> None:
    own = ("comfyq/", "comfyui_simulator/", f"{METADATA}/")
    assert [name for name in files if not name.startswith(own)] == []
    assert [name for name in files if name.endswith(".pyc")] == []


def test_its_metadata_tells_what_it_is(files: Mapping[str, bytes]) -> None:
    text = files[f"{METADATA}/METADATA"].decode()
    told: Message = HeaderParser().parsestr(text)
    assert (told["Name"], told["Version"], told["License-Expression"]) == (
        "comfyq",
        __version__,
        "MIT",
    )
    assert told["Requires-Python"] == ">=3.11"
    assert "\n\n# comfyq\n" in text
    licences = told.get_all("License-File", [])
    notices = [f"lib/{name}" for name in below(ROOT / "lib") if name.endswith(NOTICE)]
    assert notices
    assert set(licences) == {"LICENSE", *notices}
    for each in licences:
        assert files[f"{METADATA}/licenses/{each}"] == (ROOT / each).read_bytes()
    assert b"comfyq = comfyq.cli:main" in files[f"{METADATA}/entry_points.txt"]


def environment() -> dict[str, str]:
    """The environment without what leads to this repository or to a server of somebody's."""
    return {
        name: value
        for name, value in os.environ.items()  # noqa: TID251
        if not name.startswith(FOREIGN)
    }


class Installed:
    """An environment with comfyq from the wheel alone, and an empty folder to work in."""

    def __init__(self, folder: Path, wheel: Path, extra: str = "local") -> None:
        self._bin = folder / "environment" / "bin"
        self.home = folder / "home"
        self.home.mkdir()
        venv.create(folder / "environment", with_pip=True)
        self.run("python", "-m", "pip", "install", "-qq", f"{wheel}[{extra}]")

    def run(self, program: str, *arguments: str) -> str:
        ended = subprocess.run(
            [self._bin / program, *arguments],
            cwd=self.home,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    @contextmanager
    def up(self) -> Iterator[Mapping[str, Any]]:
        """Serve, and yield what the server says of itself; it drains and ends without an error."""
        command = [str(self._bin / "comfyq"), "up", "--port", "0", "--json"]
        log = self.home.with_name("log")
        with (
            log.open("wb") as err,
            subprocess.Popen(
                command, cwd=self.home, env=environment(), stdout=subprocess.PIPE, stderr=err
            ) as server,
        ):
            assert server.stdout is not None
            try:
                line = server.stdout.readline()
                assert line, log.read_text()
                yield json.loads(line)
                server.send_signal(signal.SIGTERM)
                assert server.wait(START_S) == 0, log.read_text()
            finally:
                server.kill()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), wheel)


@pytest.mark.verify
@pytest.mark.timeout(600)
def test_installed_alone_it_serves_and_runs_a_job(installed: Installed) -> None:
    where = installed.run("python", "-c", "import comfyq; print(comfyq.__file__)")
    assert str(ROOT) not in where
    assert installed.run("comfyq", "--version").strip().endswith(__version__)
    with installed.up() as up:
        assert Path(up["data_dir"]).is_relative_to(installed.home)
        out = installed.run(
            "comfyq", "submit", "a fox", "--wait", "--json", "--url", up["url"], "--out", "out"
        )
        job = json.loads(out.splitlines()[-1])
        assert job["status"] == "completed"
        assert [each.suffix for each in (installed.home / "out").rglob("*.*")] == [".png"]
        listed = urllib3.request("GET", f"{up['url']}/workflows").json()["workflows"]
        assert {each["name"] for each in listed} == {each.name for each in WORKFLOWS.iterdir()}
        for page in ("/", "/docs", "/docs/swagger-ui-bundle.js", "/docs/redoc.standalone.js"):
            assert urllib3.request("GET", f"{up['url']}{page}").status == 200


@pytest.mark.verify
@pytest.mark.timeout(600)
def test_installed_alone_its_commands_say_what_needs_a_checkout(installed: Installed) -> None:
    for arguments, told in (
        (("infra", "up"), "a checkout of comfyq"),
        (("workflows", "import", "graph.json"), "belongs to the installed package"),
        (("up", "--port", "0", "--backend", "emulator"), "make emulator"),
    ):
        with pytest.raises(AssertionError, match=told):
            installed.run("comfyq", *arguments)
    assert "broken" not in installed.run("comfyq", "workflows", "check")


@pytest.mark.verify
@pytest.mark.timeout(600)
def test_the_extra_of_mcp_has_all_that_its_command_needs(wheel: Path, tmp_path: Path) -> None:
    installed = Installed(tmp_path, wheel, extra="mcp")
    assert "--allowed-host" in installed.run("comfyq", "mcp", "--help")
    installed.run("comfyq", "mcp", "--url", "http://127.0.0.1:9")  # its standard input is closed
