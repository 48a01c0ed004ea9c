"""A fresh worker beside a real ComfyUI without a single model runs `flux-dev` from a lock."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyq.adapters.filesystem.models.locks import write_lock
from comfyq.adapters.filesystem.workflows import load_workflow
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.models.source import HuggingFaceSource
from tests.e2e.faults.client import Client, until
from tests.e2e.faults.comfy import RUN, Real, free_port
from tests.model_hub import COMMIT, ModelHub, hub_with_cdn, sha256
from tests.processes import Processes, clean_env

DIRECTORY = os.environ.get("COMFYQ_TEST_COMFYUI_DIR", "")  # noqa: TID251 - a setting of the tests
pytestmark = [
    pytest.mark.comfyui,
    pytest.mark.skipif(
        not DIRECTORY, reason="COMFYQ_TEST_COMFYUI_DIR names no prepared ComfyUI; `make comfyui`"
    ),
]
WORKFLOW = Path(__file__).parents[2] / "workflows" / "flux-dev"


@pytest.fixture
def hub() -> Iterator[ModelHub]:
    with hub_with_cdn() as hub:
        yield hub


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base directory of ComfyUI with its nodes, and without models and most of their folders."""
    prepared, base = Path(DIRECTORY) / "base", tmp_path / "base"
    shutil.copytree(prepared, base, ignore=shutil.ignore_patterns("models"))
    (base / "models" / "vae").mkdir(parents=True)
    return base


@pytest.fixture(params=["own", "extra"])
def models(request: pytest.FixtureRequest, base: Path, tmp_path: Path) -> Path:
    """The folder that the worker fetches into: ComfyUI's own, or one that it is told of."""
    return base / "models" if request.param == "own" else tmp_path / "extra"


@pytest.fixture
def comfyui(base: Path, models: Path, tmp_path: Path) -> Iterator[str]:
    port, told = str(free_port()), tmp_path / "extra_model_paths.yaml"
    folders = sorted({each.folder for each in load_workflow(WORKFLOW).models})
    lines = [f"  {folder}: {folder}\n" for folder in folders]
    told.write_text(f"comfyq:\n  base_path: {models}\n{''.join(lines)}")
    extra = [] if models.parent == base else ["--extra-model-paths-config", str(told)]
    process = subprocess.Popen(
        [str(RUN), DIRECTORY, "--base-directory", str(base), *extra],
        env=clean_env(base, {"PORT": port}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    running = Real(url=f"http://127.0.0.1:{port}")
    try:
        until(running._answers, "ComfyUI answers", within_s=120)
        yield running.url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def workflows(tmp_path: Path, hub: ModelHub) -> Path:
    """The workflow as it is shipped, with a lock of the prepared ComfyUI's tiny models."""
    folder = tmp_path / "workflows" / WORKFLOW.name
    shutil.copytree(WORKFLOW, folder)
    locked = []
    for model in load_workflow(folder).models:
        source = model.source
        assert isinstance(source, HuggingFaceSource)
        content = (Path(DIRECTORY) / "base" / "models" / model.folder / model.file).read_bytes()
        hub.repository(source.repository, source.path, content)
        locked.append(
            LockedModel(
                folder=model.folder,
                file=model.file,
                source=source,
                sha256=sha256(content),
                size=len(content),
                commit=COMMIT,
            )
        )
    write_lock(folder, locked)
    return folder.parent


def test_it_fetches_them_and_comfyui_finds_them_without_a_restart(
    tmp_path: Path, models: Path, comfyui: str, workflows: Path, hub: ModelHub
) -> None:
    processes = Processes(tmp_path)
    env = {
        "COMFYQ_WORKFLOWS_DIR": str(workflows),
        "COMFYQ_MODEL_FETCH": "true",
        "COMFYQ_MODELS_DIR": str(models),
        "COMFYQ_MODEL_ALLOW": "127.0.0.1",
        "COMFYQ_MODEL_HUB_HF": hub.url,
    }
    try:
        client = Client(processes.up(comfyui=[comfyui], env=env).url)
        until(
            lambda: any(each["comfyui_available"] for each in client.health()["workers"]),
            "its worker is there",
            within_s=60,
        )
        prompt = {"prompt": "a fox", "width": 64, "height": 64, "steps": 2}
        jobs = [client.submit("flux-dev", **prompt, seed=seed) for seed in (1, 2)]
        for job in jobs:
            client.follower(job).wait_end(within_s=180)
            shown = client.show(job)
            assert shown["status"] == "completed", shown
            assert client.download(shown["image_url"]).startswith(b"\x89PNG")
        stages = [each["provisioning"] for each in client.follower(jobs[0]).frames]
        assert any(stages), "the first job waited for them"
        assert len(hub.cdn.bytes_asked() if hub.cdn else ()) == len(load_models(workflows))
        client.close()
    finally:
        processes.close()


def load_models(workflows: Path) -> list[str]:
    return [model.file for model in load_workflow(workflows / "flux-dev").models]
