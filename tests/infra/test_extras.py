"""Each extra has what its part of comfyq imports, and each lock what its extras say."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.infra.images import ROOT, locked

FUNCTIONS = ROOT / "functions/requirements.lock"
WORKER = ROOT / "infra/worker/requirements.lock"
CORE = ("domain", "ports", "records", "services", "wire", "config", "aio", "telemetry", "client")
IMPORTED = {  # packages whose every module must import with what is in the lock
    FUNCTIONS: (
        *(f"comfyq.{name}" for name in CORE),
        *(f"comfyq.edges.{name}" for name in ("api", "intake", "reaper", "webhooks", "websocket")),
        *(
            f"comfyq.adapters.{name}"
            for name in ("apigw", "dynamodb", "encryption", "oidc", "s3", "sqs", "filesystem")
        ),
        *(f"comfyq.adapters.{name}" for name in ("measured", "opentelemetry", "prometheus")),
    ),
    WORKER: (
        *(f"comfyq.{name}" for name in CORE),
        "comfyq.edges.worker",
        *(
            f"comfyq.adapters.{name}"
            for name in ("apigw", "comfyui", "dynamodb", "ecs", "encryption", "fetching")
        ),
        *(f"comfyq.adapters.{name}" for name in ("filesystem", "minio", "pictures", "s3", "sqs")),
        *(f"comfyq.adapters.{name}" for name in ("measured", "opentelemetry", "prometheus")),
    ),
}
COMMANDS = [
    f"comfyq.cli.commands.{name}"
    for name in ("worker", "jobs", "watch", "submitting", "infra_check")
]
ENTRIES = {
    FUNCTIONS: [
        f"functions.{name}.handler" for name in ("api", "websocket", "reaper", "intake", "webhooks")
    ],
    WORKER: [
        "comfyq.local.worker",
        "comfyq.cli.commands.worker",
        "comfyq.cli.commands.jobs",
        "comfyq.bootstrap.worker",
    ],
}
PROGRAM = """
import importlib, json, pkgutil, sys
from importlib.metadata import packages_distributions

locked, packages, entries = json.loads(sys.argv[1])
for name, owners in packages_distributions().items():
    if not {owner.lower().replace("_", "-") for owner in owners} & {*locked, "comfyq"}:
        sys.modules[name] = None  # whoever imports it fails
for name in entries:
    importlib.import_module(name)
for name in packages:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
"""


@pytest.mark.parametrize("lock", [FUNCTIONS, WORKER], ids=lambda lock: lock.parent.name)
def test_a_part_imports_with_the_packages_of_its_lock_alone(lock: Path) -> None:
    argument = json.dumps([list(locked(lock)), IMPORTED[lock], ENTRIES[lock]])
    settings = {"COMFYQ_BACKEND": "aws", "COMFYQ_QUEUE_URL": "http://127.0.0.1:9/q"}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, argument],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env=settings,
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("lock", [FUNCTIONS, WORKER, ROOT / "requirements-dev.lock"], ids=str)
def test_locks_agree_with_the_lock_of_everything(lock: Path) -> None:
    everything, own = versions(ROOT / "requirements.lock"), versions(lock)
    shared = own.keys() & everything.keys()
    assert {name: own[name] for name in shared} == {name: everything[name] for name in shared}
    if lock.name == "requirements.lock":
        assert own.keys() <= everything.keys()


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        (FUNCTIONS, {"api", "aws", "oidc", "otel"}),
        (WORKER, {"worker", "cli", "aws", "minio", "otel"}),
    ],
    ids=["functions", "worker"],
)
def test_a_lock_has_what_its_extras_name_and_nothing_else_of_ours(
    lock: Path, extras: set[str]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {name for extra in extras for name in names_of(project, extra)}
    others = {
        name for extra in project["optional-dependencies"] for name in names_of(project, extra)
    }
    direct = {name_of(each) for each in project["dependencies"]} | named
    assert direct <= set(locked(lock))
    transitive = {"urllib3"}  # of boto3
    assert (others - direct - transitive) & set(locked(lock)) == set()


def names_of(project: dict[str, Any], extra: str) -> set[str]:
    return {name_of(each) for each in project["optional-dependencies"][extra]} - {"comfyq"}


def name_of(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    return match[0]


def versions(lock: Path) -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), flags=re.MULTILINE)
    return dict(pins)
