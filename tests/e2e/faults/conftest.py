"""Fixtures of the fault matrix.

Each row runs on every backend. Rows that say ``real`` run against the real ComfyUI as well, which
is named by COMFYQ_TEST_COMFYUI_URL (one that runs) or COMFYQ_TEST_COMFYUI_DIR (a prepared
directory, from which one is started, and killed where a row demands it).
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.faults.comfy import Comfy, Real, Simulated
from tests.e2e.faults.lab import FAST, Lab
from tests.fixtures.emulator import ENVIRONMENT
from tests.processes import Process, Processes

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
RESULTS = ROOT / "out" / "faults"

LIMITS = {  # workflows that are `nap` under other limits
    "nap-brief": ("run_timeout_s", 1),
    "nap-impatient": ("queue_timeout_s", 1),
    "nap-watched": ("stall_s", 1),
}

Record = Callable[[str, float], None]


@pytest.fixture(
    scope="session",
    params=["embedded", pytest.param("emulator", marks=pytest.mark.verify)],
)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "emulator" and not ENVIRONMENT.exists():
        pytest.skip("the emulator is not installed: run make emulator")
    return name


@pytest.fixture(scope="session")
def workflows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our workflows, the shipped one, and `nap` under other limits."""
    folder = tmp_path_factory.mktemp("workflows")
    shutil.copytree(HERE / "workflows", folder, dirs_exist_ok=True)
    shutil.copytree(ROOT / "workflows" / "flux-dev", folder / "flux-dev")
    for name, (limit, value) in LIMITS.items():
        shutil.copytree(folder / "nap", folder / name)
        manifest = folder / name / "manifest.toml"
        changed = re.sub(rf"^{limit} = .*$", f"{limit} = {value}", manifest.read_text(), flags=re.M)
        manifest.write_text(changed)
    return folder


@pytest.fixture(scope="session")
def ups(
    backend: str, workflows: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Process]]:
    """``comfyq up --workers 0`` for a kind of ComfyUI, for all tests of a backend that have that
    kind: none of them harms it."""
    stack = ExitStack()

    @cache
    def started(kind: str) -> Process:
        processes = Processes(tmp_path_factory.mktemp(f"up-{backend}-{kind}"))
        stack.callback(processes.close)
        env = {**FAST, "COMFYQ_WORKFLOWS_DIR": str(workflows)}
        return processes.up(workers=0, backend=backend, env=env)

    with stack:
        yield started


@pytest.fixture
def up(request: pytest.FixtureRequest, ups: Callable[[str], Process]) -> Process:
    """What is simulated and what is real have no jobs in common."""
    return ups(_kind(request))


@pytest.fixture
def lab(up: Process, backend: str, tmp_path: Path) -> Iterator[Lab]:
    started = Lab(tmp_path, up=up, backend=backend)
    try:
        yield started
    finally:
        started.close()


@pytest.fixture(scope="session")
def comfyui_dir() -> Path:
    """Return the folder in which the real ComfyUI is prepared."""
    named = os.getenv("COMFYQ_TEST_COMFYUI_DIR")
    if not named:
        pytest.skip("no prepared ComfyUI: name its directory by COMFYQ_TEST_COMFYUI_DIR")
    return Path(named)


@pytest.fixture(scope="session")
def running_comfyui(request: pytest.FixtureRequest) -> Iterator[Real]:
    """A real ComfyUI that outlives each test."""
    url = os.getenv("COMFYQ_TEST_COMFYUI_URL")
    if url:
        yield Real(url=url.rstrip("/"))
        return
    started = Real(directory=request.getfixturevalue("comfyui_dir"))
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def simulator(lab: Lab) -> Simulated:
    return lab.simulator()


@pytest.fixture(params=["simulator"])
def comfy(request: pytest.FixtureRequest) -> Comfy:
    """A ComfyUI that the test must leave as it was."""
    wanted = "simulator" if request.param == "simulator" else "running_comfyui"
    comfy: Comfy = request.getfixturevalue(wanted)
    return comfy


@pytest.fixture(params=["simulator"])
def mortal(request: pytest.FixtureRequest) -> Iterator[Comfy]:
    """A ComfyUI that the test may kill or break."""
    if request.param == "simulator":
        yield request.getfixturevalue("simulator")
        return
    started = Real(directory=request.getfixturevalue("comfyui_dir"))
    try:
        yield started
    finally:
        started.close()


@pytest.fixture
def record(request: pytest.FixtureRequest, backend: str) -> Record:
    """Note how long a row took from the fault to recovery, for the table of the fault matrix."""

    def note(row: str, seconds: float) -> None:
        where = _kind(request)
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        RESULTS.mkdir(parents=True, exist_ok=True)
        measured = {
            "row": row,
            "backend": backend,
            "comfyui": where,
            "seconds": round(seconds, 2),
            "test": f"{request.path.relative_to(ROOT)}::{request.node.originalname}",
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(measured, indent=2))

    return note


def _kind(request: pytest.FixtureRequest) -> str:
    """Of the ComfyUI that the test has."""
    return "real" if "real" in request.node.callspec.params.values() else "simulator"


@pytest.fixture(params=["simulator"])
def slow_comfy(request: pytest.FixtureRequest, lab: Lab) -> Comfy:
    """One whose sampler takes half a second or more for a step (the real one at 768 px)."""
    if request.param == "simulator":
        return lab.simulator("--step-s", 0.5)
    comfy: Comfy = request.getfixturevalue("running_comfyui")
    return comfy
