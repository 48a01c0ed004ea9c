"""A worker on a simulated ComfyUI runs workflows small before any job, and unloads what is idle."""

import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import anyio
import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.aio.tasks import beside
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker import open_worker
from comfyq.config import Settings
from comfyq.config.worker import WorkerSettings
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import JobStatus
from comfyq.domain.submission.request import Request
from comfyui_simulator import Simulator
from comfyui_simulator.settings import SimulatorSettings
from tests.log_lines import logged
from tests.paths import WORKFLOWS
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio


@dataclass
class Machine:
    services: Services
    simulator: Simulator

    async def asked(self, path: str) -> Mapping[str, Any]:
        def read() -> Mapping[str, Any]:
            with urlopen(f"{self.simulator.url}{path}") as answer:
                return dict(json.load(answer))

        return await anyio.to_thread.run_sync(read)

    async def until(self, holds: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """Wait for what the simulator counts, and return it."""
        with anyio.fail_after(20):
            while not holds(stats := await self.asked("/simulator/stats")):  # noqa: ASYNC110
                await anyio.sleep(0.02)
        return stats

    async def shows(self, *, family: str | None) -> None:
        """Wait until the worker tells which models are loaded."""
        with anyio.fail_after(20):
            while (await self.services.workers.live())[0].family != family:  # noqa: ASYNC110
                await anyio.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "workflows"
    for name in ("sd15", "sdxl", "flux-dev"):
        shutil.copytree(WORKFLOWS / name, folder / name)
    for name in ("sd15", "sdxl"):
        manifest = folder / name / "manifest.toml"
        manifest.write_text("warm = true\n" + manifest.read_text())
    graph = folder / "sdxl/graph.json"
    graph.write_text(graph.read_text().replace('"KSampler"', '"NoSuchSampler"'))
    return folder


@asynccontextmanager
async def machine(folder: Path, **given: Any) -> AsyncIterator[Machine]:
    settings = Settings(
        data_dir=folder.parent / "data",
        workflows_dir=folder,
        worker=replace(WorkerSettings(), wait_s=0.1, **given),
    )
    ports = open_ports(settings)
    services = Services(settings, ports)
    async with (
        Simulator(SimulatorSettings(step_s=0.2)) as simulator,
        open_worker(services, comfyui_url=simulator.url) as worker,
        beside(worker.run()),
    ):
        yield Machine(services, simulator)
    ports.close()


async def test_it_runs_what_is_to_be_warm_small_and_stores_nothing_of_it(folder: Path) -> None:
    with logged() as lines:
        async with machine(folder) as here:
            await here.until(lambda stats: len(stats["samplings"]) == 1)
            [entry] = (await here.asked("/history")).values()
            await until(lambda: any(line["event"] == "warmed" for line in lines))
            graph = entry["prompt"][2]
            classes = {node["class_type"] for node in graph.values()}
            assert "PreviewImage" in classes
            assert "SaveImage" not in classes
            sizes = [n["inputs"]["width"] for n in graph.values() if "width" in n["inputs"]]
            assert sizes == [64]
            assert [n["inputs"]["steps"] for n in graph.values() if "steps" in n["inputs"]] == [2]
            assert await here.services.run_times.usual(DEFAULT_TENANT, "sd15") is None
            assert (await here.asked("/queue"))["queue_running"] == []
    stored = [each for each in (folder.parent / "data").rglob("*") if each.suffix == ".png"]
    assert stored == []
    told = {line["workflow"]: line for line in lines if line["event"] in ("warmed", "warm_failed")}
    assert told["sd15"]["event"] == "warmed"
    assert "NoSuchSampler" in told["sdxl"]["reason"]
    assert "comfyq workflows check" in told["sdxl"]["help"]
    assert "flux-dev" not in told


async def test_models_are_unloaded_once_where_nothing_was_run_for_long(folder: Path) -> None:
    for name in ("sd15", "sdxl"):
        shutil.rmtree(folder / name)
    with logged() as lines:
        async with machine(folder, unload_idle_s=0.8, beat_s=0.05) as here:
            await here.until(lambda stats: stats["models_unloaded"] == 1)  # of a former process
            request = Request(workflow="flux-dev", values={"prompt": "a fox", "steps": 2})
            job = (await here.services.submission.submit(OWNER, request)).job
            await here.shows(family="flux1-dev")
            stats = await here.until(lambda stats: stats["models_unloaded"] > 1)
            assert stats["models_unloaded"] == 2
            assert (await here.services.records.get(job.id)).status is JobStatus.SUCCEEDED
            await here.shows(family=None)
    assert sum(line["event"] == "models_unloaded" for line in lines) == 2
