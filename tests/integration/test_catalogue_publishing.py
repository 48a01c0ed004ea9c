"""A worker publishes what its ComfyUI can run, and requests are held against it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker import open_worker
from comfyq.bootstrap.workers.membership import membership_of
from comfyq.config import Settings
from comfyq.domain.errors import InvalidGraph, InvalidParameters
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.job import WorkerId
from comfyq.domain.submission.request import Request
from comfyq.edges.worker.catalogue_watch import CatalogueWatch
from comfyq.edges.worker.engine_watch import EngineWatch
from comfyq.ports.engine import EngineInfo, EngineUnavailable
from comfyui_simulator import Simulator
from tests.api_lab import ApiLab
from tests.catalogue_lab import FixedSource, publisher
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio

DEADLINE_S = 20.0


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    settings = Settings(data_dir=tmp_path / "data")
    ports = open_ports(settings)
    yield Services(settings, ports)
    ports.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for is another task's
            await asyncio.sleep(0.01)


async def published(services: Services) -> NodeCatalogue:
    """The catalogue of the worker, as a fresh process of the API sees it."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            fresh = Services(services.settings, services.ports)
            known = await fresh.catalogues.known()
            live = await fresh.workers.live()
            if known and any(worker.catalogue for worker in live):
                return known[0]
            await asyncio.sleep(0.05)


async def test_a_worker_publishes_and_requests_are_refused(services: Services) -> None:
    async with (
        Simulator() as simulator,
        open_worker(services, comfyui_url=simulator.url) as worker,
        asyncio.TaskGroup() as tasks,
    ):
        running = tasks.create_task(worker.run())
        catalogue = await published(services)
        assert "flux1-dev.safetensors" in catalogue.models["diffusion_models"]
        misspelt = Request(workflow="flux-dev", values={"prompt": "x", "loras": ["tiny_flux"]})
        with pytest.raises(InvalidParameters, match="tiny_flux_lora"):
            await services.submission.submit(OWNER, misspelt)
        unknown = Request(graph={"1": {"class_type": "SaveImge", "inputs": {}}})
        with pytest.raises(InvalidGraph):
            await services.submission.submit(OWNER, unknown)
        worker.stop()
        await running


class ComfyThatRestarts(ScriptedEngine):
    """A ComfyUI that a test takes away and brings back."""

    away = False

    async def info(self) -> EngineInfo:
        if self.away:
            raise EngineUnavailable("away")
        return await super().info()


async def test_a_comfyui_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    lab, engine = ApiLab(), ComfyThatRestarts()
    source = FixedSource({"A": {"input": {}}})
    publishing = publisher(lab, tmp_path, source=source)
    membership = membership_of(lab.services, WorkerId("w"))
    watch = EngineWatch(
        engine,
        membership=membership,
        before_claims=lambda: asyncio.sleep(0),
        period_s=0.01,
        away_period_s=0.01,
    )
    catalogue = CatalogueWatch(publishing, watch=watch)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each.run()) for each in (watch, catalogue)]
        await until(lambda: catalogue.id is not None)
        first = catalogue.id
        engine.away = True
        await until(lambda: not watch.ok)
        source.info = {"B": {"input": {}}}
        engine.away = False
        await until(lambda: catalogue.id != first)
        for task in running:
            task.cancel()
    assert len(lab.assets.stored) == 2


async def test_catalogues_that_nobody_has_any_more_are_deleted(tmp_path: Path) -> None:
    lab = ApiLab()
    await publisher(lab, tmp_path, source=FixedSource({"A": {"input": {}}})).publish()
    lab.clock.advance(31 * 86_400)
    kept = await publisher(lab, tmp_path, source=FixedSource({"B": {"input": {}}})).publish()
    assert list(lab.assets.stored) == [f"catalogues/{kept}.json.gz"]


async def test_the_same_catalogue_is_stored_once(tmp_path: Path) -> None:
    lab = ApiLab()
    publishing = publisher(lab, tmp_path, source=FixedSource({"A": {"input": {}}}))
    await publishing.publish()
    lab.assets.stored.clear()
    await publishing.publish()
    assert not lab.assets.stored
    assert not list(tmp_path.iterdir())
