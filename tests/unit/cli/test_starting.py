"""What a server is started with, and what it says to whom it is open."""

import json
import re
import socket
import sqlite3
from errno import EACCES
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from typer.testing import CliRunner

from comfyq import __version__
from comfyq.bootstrap.identity import WorkerIdTaken
from comfyq.bootstrap.runtime_file import runtime_file
from comfyq.cli.addresses import open_urls
from comfyq.cli.app import app
from comfyq.cli.errors import CannotStart, NotYet
from comfyq.cli.starting import base_url, readable_failures, warn_of_settings
from comfyq.config import (
    ApiSettings,
    Auth,
    LimitSettings,
    Settings,
    read_settings,
    variables_of,
)
from comfyq.domain.errors import TableUnavailable
from comfyq.local.serving import PortTaken, listen
from comfyq.local.up import exports_of


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188"),
        ("gpu-box", "http://gpu-box"),
        ("[::1]:8188/", "http://[::1]:8188"),
        ("https://gpu.example/comfy/", "https://gpu.example/comfy"),
    ],
)
def test_a_comfyui_without_a_scheme_is_http(given: str, url: str) -> None:
    assert base_url(given) == url


@pytest.mark.parametrize(
    "given",
    ["", "not a url", "/opt/ComfyUI", "ftp://gpu", "http://gpu:eighty", "http://[::1", "a:0"],
)
def test_what_is_no_url_of_a_comfyui_is_named(given: str) -> None:
    with pytest.raises(CannotStart, match="is no URL of a ComfyUI") as refused:
        base_url(given)
    assert repr(given) in str(refused.value)


@pytest.mark.parametrize("command", ["up", "worker"])
def test_it_is_refused_in_one_line(command: str, tmp_path: Path) -> None:
    arguments = [command, "--data-dir", str(tmp_path), "--comfyui", "not a url"]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 2
    assert len(ended.stderr.splitlines()) == 1


def test_a_directory_of_a_comfyui_that_is_not_named_is_refused_in_one_line(tmp_path: Path) -> None:
    arguments = ["up", "--data-dir", str(tmp_path / "data"), "--comfyui-dir", str(tmp_path)]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 2
    [line] = ended.stderr.splitlines()
    assert "add --comfyui URL or --comfyui-command CMD" in line


@pytest.mark.parametrize("command", ["up", "simulator"])
def test_a_port_that_no_machine_has_is_wrong_usage(command: str) -> None:
    ended = CliRunner().invoke(app, [command, "--port", "99999"])
    assert ended.exit_code == 2
    assert "65535" in ended.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])  # that one is nobody's
def test_a_port_that_is_taken_or_an_address_that_is_not_there_may_help_later(host: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        told = pytest.raises(NotYet, match=f"cannot listen on {host}:{port}: ")
        with told, readable_failures(PortTaken):
            listen(host, port)
        ended = CliRunner().invoke(app, ["simulator", "--host", host, "--port", str(port)])
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (5, 1)
    with pytest.raises(CannotStart), readable_failures():
        raise OSError(EACCES, "Permission denied")


def test_a_name_that_has_no_address_yet_and_what_another_process_has_may_help_later() -> None:
    """At boot a service may be there before the network is; systemd starts it again for 5 alone."""
    unresolved = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    with pytest.raises(NotYet, match="cannot listen"), readable_failures(PortTaken):
        raise PortTaken("cannot listen on gpu-box:8000") from unresolved
    vendors = ValueError("a vendor's own error")
    vendors.__cause__ = unresolved
    with pytest.raises(NotYet, match="DynamoDB"), readable_failures():
        raise TableUnavailable("DynamoDB does not answer") from vendors
    with pytest.raises(NotYet, match="runs"), readable_failures(passing=(WorkerIdTaken,)):
        raise ExceptionGroup("tasks", [WorkerIdTaken("worker w runs")])
    with pytest.raises(CannotStart, match="damaged"), readable_failures():
        raise TableUnavailable("the database is damaged") from sqlite3.DatabaseError("malformed")


@pytest.mark.parametrize(
    "error", [FileExistsError(17, "File exists", "/a"), OSError(2, "No", "/a")]
)
def test_a_folder_that_the_machine_refuses_is_told_in_words(error: OSError) -> None:
    with pytest.raises(CannotStart, match=r"^/a cannot be used: [a-z ]+$"), readable_failures():
        raise error


def test_help_shows_the_variables_and_defaults_of_options() -> None:
    shown = " ".join(
        re.sub(r"[│\n]", " ", CliRunner().invoke(app, ["up", "--help"]).stdout).split()
    )
    for each in (
        "COMFYQ_DATA_DIR; default: .comfyq",
        "none on loopback, else keys",
        "page Settings",
    ):
        assert each in shown


def test_the_version_is_printed() -> None:
    printed = CliRunner().invoke(app, ["--version"])
    assert (printed.exit_code, printed.stdout) == (0, f"comfyq {__version__}\n")


def test_a_server_on_every_address_names_those_of_the_lan(monkeypatch: pytest.MonkeyPatch) -> None:
    v4, v6 = 2, 10
    of = {
        "lo": [("127.0.0.1", v4), ("::1", v6)],
        "eth0": [("192.168.1.5", v4), ("fe80::1%eth0", v6), ("fd00::5", v6), ("aa:bb", 17)],
    }
    addresses = {
        name: [SimpleNamespace(family=family, address=each) for each, family in own]
        for name, own in of.items()
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: addresses)
    assert open_urls("0.0.0.0", 8000) == ["http://192.168.1.5:8000"]
    assert open_urls("::", 8000) == ["http://192.168.1.5:8000", "http://[fd00::5]:8000"]
    assert open_urls("192.168.1.5", 80) == ["http://192.168.1.5:80"]
    assert open_urls("127.0.0.1", 8000) == open_urls("localhost", 8000) == []


def test_the_environment_of_a_look_alike_is_enough_for_the_command_line_of_aws(
    tmp_path: Path,
) -> None:
    queue = "http://127.0.0.1:4566/000000000000/submissions"
    given = {"COMFYQ_BACKEND": "emulator", "COMFYQ_SUBMISSIONS_QUEUE_URL": queue}
    settings = read_settings(given | {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"})
    with runtime_file(tmp_path, exports_of(settings, "http://127.0.0.1:8000")):
        printed = CliRunner().invoke(app, ["env", "--json", "--data-dir", str(tmp_path)])
    names = {"AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    exported = json.loads(printed.stdout)
    assert names <= exported.keys()
    assert exported["COMFYQ_SUBMISSIONS_QUEUE_URL"] == queue


def test_on_aws_itself_nobody_s_keys_are_replaced() -> None:
    settings = read_settings({"COMFYQ_BACKEND": "aws"})
    assert "AWS_ACCESS_KEY_ID" not in exports_of(settings, "http://127.0.0.1:8000")


def test_misspelt_settings_are_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMFYQ_DATADIR", "/elsewhere")
    monkeypatch.setenv("COMFYQ_LOG_LEVLE", "debug")
    warn_of_settings(Settings())
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert "COMFYQ_DATADIR (did you mean COMFYQ_DATA_DIR?)" in printed.err
    assert "COMFYQ_LOG_LEVLE (did you mean COMFYQ_LOG_LEVEL?)" in printed.err


@pytest.mark.parametrize(
    ("nodes", "warned"),
    [("saef, KSampler", ["saef"]), ("Safe", ["Safe"]), ("safe, KSampler*, MyNode, saf*", [])],
)
def test_a_misspelt_profile_of_node_classes_is_named(
    nodes: str, warned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    warn_of_settings(Settings(limits=LimitSettings(nodes=nodes)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(warned)
    for name, line in zip(warned, lines, strict=True):
        assert f"COMFYQ_NODES: {name} is no profile" in line
        assert line.endswith("did you mean safe?")


@pytest.mark.parametrize(
    "limits",
    [
        LimitSettings(nodes="safe, Load3D", nodes_denied="*Shell*"),
        LimitSettings(running_jobs=2),
        LimitSettings(retention_s=60, input_max_bytes=7),
    ],
    ids=["lists", "running jobs", "others"],
)
def test_workers_that_join_keep_the_same_limits(limits: LimitSettings) -> None:
    """They judge graphs once more, list the jobs that they hold, and say when ends are deleted."""
    usual = exports_of(Settings(), "http://127.0.0.1:8000")
    assert not usual.keys() & variables_of(limits).keys()
    settings = Settings(limits=limits, api=ApiSettings(auth=Auth.NONE))
    assert read_settings(exports_of(settings, "http://127.0.0.1:8000")).limits == limits
