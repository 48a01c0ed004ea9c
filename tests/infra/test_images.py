"""Images and compose files, as far as they can be checked without Docker."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.checks.functions import known_names
from tests.infra.images import (
    DOCKERFILES,
    ROOT,
    arguments_of,
    copied,
    environment,
    locked,
    steps,
)

COMPOSE_FILES = [ROOT / "infra/compose.yaml", ROOT / "infra/worker/compose.yaml"]
SERVICE = ROOT / "infra/worker/comfyq-worker.service"
ENV_EXAMPLE = ROOT / "infra/worker/worker.env.example"
FUNCTIONS = ROOT / "functions/Dockerfile"

OTHERS = {"HOME", "PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
BOTO3 = {"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CONFIG_FILE"}
PINNED = re.compile(r".+:[\w.-]*\d[\w.-]*$|.+@sha256:[0-9a-f]{64}$")

dockerfiles = pytest.mark.parametrize(
    "dockerfile", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT))
)


def test_every_image_is_looked_at() -> None:
    names = {str(path.relative_to(ROOT)) for path in DOCKERFILES}
    assert {"functions/Dockerfile", "infra/gpu/Dockerfile", "infra/docker/Dockerfile"} <= names


@dockerfiles
def test_bases_are_pinned(dockerfile: Path) -> None:
    bases = [step.words[0] for step in steps(dockerfile) if step.name == "FROM"]
    assert bases
    assert all(PINNED.match(base) for base in bases)


@dockerfiles
def test_what_is_copied_exists(dockerfile: Path) -> None:
    missing = [name for name in copied(dockerfile) if not (ROOT / name).exists()]
    assert missing == []


@dockerfiles
def test_the_process_is_not_root(dockerfile: Path) -> None:
    if dockerfile.parent.name == "gpu":
        pytest.skip("entrypoint.sh changes to two users: see test_gpu.py")
    last = [step.argument for step in steps(dockerfile) if step.name in ("USER", "FROM")][-1]
    assert last == "1000:1000"


@dockerfiles
def test_packages_are_those_of_the_lock(dockerfile: Path) -> None:
    installs = " ".join(step.argument for step in steps(dockerfile) if step.name == "RUN")
    assert "--no-deps --require-hashes" in re.sub(r"\s+", " ", installs)
    assert not any(step.name == "ADD" for step in steps(dockerfile))


@dockerfiles
def test_environments_are_read(dockerfile: Path) -> None:
    assert set(environment(dockerfile)) <= known_names() | OTHERS


def test_comfyui_is_pinned() -> None:
    arguments = [
        step.argument for step in steps(ROOT / "infra/gpu/Dockerfile") if step.name == "ARG"
    ]
    assert "COMFYUI_VERSION=v0.33.0" in arguments
    assert all(re.search(r"=v?\d+(\.\d+)+$", argument) for argument in arguments)


@pytest.mark.parametrize(
    "script", sorted((ROOT / "infra").rglob("*.sh")), ids=lambda path: path.name
)
def test_scripts_are_shell(script: Path) -> None:
    shell = "sh" if script.read_text().startswith("#!/bin/sh") else "bash"
    value = shutil.which(shell)
    assert value is not None
    subprocess.run([value, "-n", script], check=True)
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_compose_files_name_what_there_is(path: Path) -> None:
    for name, service in services(path).items():
        assert "build" in service or PINNED.match(service["image"]), name
        if "build" in service:
            context = (path.parent / service["build"]["context"]).resolve()
            assert (context / service["build"]["dockerfile"]).is_file(), name
            assert set(service.get("environment", {})) <= known_names() | BOTO3, name
        for needed in service.get("depends_on", {}):
            assert needed in services(path), name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_a_worker_has_time_to_drain() -> None:
    grace = services(ROOT / "infra/worker/compose.yaml")["worker"]["stop_grace_period"]
    assert grace == services(ROOT / "infra/compose.yaml")["worker"]["stop_grace_period"] == "115s"
    assert unit()["Service"]["TimeoutStopSec"] == "115"


def test_the_unit_runs_a_worker_and_hides_the_rest() -> None:
    service = unit()["Service"]
    assert service["ExecStart"].endswith("/comfyq worker")
    assert service["EnvironmentFile"] == "/etc/comfyq/worker.env"
    names = {pair.split("=")[0] for pair in service["Environment"].split()}
    assert names <= known_names()
    hardened = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "DynamicUser": "yes"}
    assert hardened.items() <= dict(service).items()


def test_the_example_names_everything_that_a_worker_needs() -> None:
    names = {
        line.lstrip("# ").split("=")[0]
        for line in ENV_EXAMPLE.read_text().splitlines()
        if re.match(r"#? ?[A-Z_]+=", line)
    }
    assert {"COMFYQ_TABLE", "COMFYQ_QUEUE_URL", "COMFYQ_BUCKET", "COMFYUI_URL"} <= names
    assert names <= known_names() | BOTO3


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of packages in the functions' image, made by the image's own steps.

    pip's step is left out: what it would fetch is copied from this environment, which has the same
    lock.
    """
    folder = tmp_path_factory.mktemp("image") / "packages"
    for name in locked(FUNCTIONS.parent / "requirements.lock"):
        _copy(name, folder)
    before = size_mb(folder)
    [_, *services] = arguments_of(FUNCTIONS, "prune_botocore.py")
    run(ROOT / "infra/docker/prune_botocore.py", folder, *services)
    for source in copied(FUNCTIONS):
        if (ROOT / source).is_dir():
            target = folder / Path(source).name
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
    run("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder)
    print(f"packages: {before:.0f} MB before, {size_mb(folder):.0f} MB after")
    return folder


@pytest.mark.verify
def test_the_image_is_small(packages: Path) -> None:
    assert size_mb(packages) < 70  # of libraries 57
    data = packages / "botocore" / "data"
    kept = {"dynamodb", "sqs", "s3", "apigatewaymanagementapi"}
    assert {folder.name for folder in data.iterdir() if folder.is_dir()} == kept


@pytest.mark.verify
@pytest.mark.parametrize("name", ["api", "websocket", "reaper", "intake"])
def test_handlers_start_with_what_is_in_the_image(packages: Path, name: str) -> None:
    """Each handler, and the clients of every service that it may call."""
    program = f"""
import functions.{name}.handler as entry
import boto3, comfyq
assert callable(entry.handler) and comfyq.__file__.startswith({str(packages)!r})
session = boto3.Session("a", "b", region_name="us-east-1")
for service in ("dynamodb", "sqs", "s3", "apigatewaymanagementapi"):
    session.client(service)
"""
    ended = isolated(packages, program)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.verify
def test_every_module_of_the_functions_imports(packages: Path) -> None:
    """Also those that are imported only when they are first needed."""
    parts = ("adapters.apigw", "adapters.dynamodb", "adapters.s3", "adapters.sqs")
    wanted = [f"comfyq.{part}" for part in (*parts, "services", "records", "wire", "edges.api")]
    program = f"""
import importlib, pkgutil
for name in {wanted!r}:
    package = importlib.import_module(name)
    for module in pkgutil.iter_modules(package.__path__, name + "."):
        importlib.import_module(module.name)
"""
    ended = isolated(packages, program)
    assert ended.returncode == 0, ended.stderr


def services(path: Path) -> Mapping[str, Any]:
    value: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    return value


def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(SERVICE, encoding="utf-8")
    return parser


def isolated(packages: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program that sees the standard library and the image's packages alone."""
    path = f"import sys; sys.path.insert(0, {str(packages)!r})\n"
    return as_function(["-I", "-S", "-c", path + program], packages / "workflows")


def as_function(arguments: list[str], workflows: Path) -> subprocess.CompletedProcess[str]:
    """Run Python with the environment that functions have."""
    settings = {
        "COMFYQ_BACKEND": "aws",
        "COMFYQ_TABLE": "t",
        "COMFYQ_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/q",
        "COMFYQ_BUCKET": "b",
        "COMFYQ_WORKFLOWS_DIR": str(workflows),
    }
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env=environment(FUNCTIONS) | settings,
    )


def run(*command: object) -> None:
    subprocess.run([sys.executable, *map(str, command)], check=True, timeout=120)


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _copy(name: str, folder: Path) -> None:
    """A distribution's files, as ``pip install --target`` lays them out."""
    value = distribution(name)
    for file in value.files or []:
        source = Path(str(value.locate_file(file)))
        if source.is_file() and ".." not in file.parts and "__pycache__" not in file.parts:
            target = folder / str(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def test_bases_are_pinned_to_digests_on_request(tmp_path: Path) -> None:
    """``pin_images.sh`` with a Docker that knows one digest; a second run takes the newer one."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nfor last; do :; done\necho "$last" >>asked\ncat digest\n')
    docker.chmod(0o755)
    (tmp_path / "infra").mkdir()
    script = shutil.copy(ROOT / "infra/pin_images.sh", tmp_path / "infra")
    image = tmp_path / "Dockerfile"
    image.write_text("FROM a.example/b:1.2 AS build\nRUN true\nFROM a.example/b:1.2\n")
    for digest in ("sha256:aa", "sha256:bb"):
        (tmp_path / "digest").write_text(digest)
        path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        subprocess.run([script, "Dockerfile"], check=True, env=path)
        base = f"a.example/b:1.2@{digest}"
        assert image.read_text() == f"FROM {base} AS build\nRUN true\nFROM {base}\n"
    assert (tmp_path / "asked").read_text() == "a.example/b:1.2\n" * 2
