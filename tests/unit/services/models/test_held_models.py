"""What a worker tells of the models on its machine, and of its room for others."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from comfyq.aio.tasks import beside
from comfyq.domain.job import WorkerId
from comfyq.records.workers import KEPT_S, MOST_MODELS, WorkerState, short
from comfyq.services.models.held_models import HeldModels
from comfyq.services.models.upkeep import ModelUpkeep
from tests.farm import Farm
from tests.model_hub import ModelHub, hub_of, safetensors
from tests.model_lab import ModelLab

pytestmark = pytest.mark.anyio


@pytest.fixture
def hub() -> Iterator[ModelHub]:
    with hub_of() as hub:
        yield hub


async def test_models_are_told_when_they_come_and_go_with_the_room_for_others(
    hub: ModelHub, tmp_path: Path
) -> None:
    free = [1_000_000]
    lab = ModelLab(
        hub, tmp_path, free_bytes=lambda _: free[0], least_free_bytes=400_000, evicts=True
    )
    held = HeldModels(lab.store, ModelUpkeep(lab.store), fetches=True, look_s=0.01)
    changed = asyncio.Event()
    held.on_change = changed.set
    content = safetensors()
    model = lab.locked(content)
    async with beside(held.run()), asyncio.timeout(10):
        while held.room != 600_000:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert held.digests == frozenset()
        await lab.fetcher.bring(model)
        await changed.wait()
        assert held.digests == {short(model.sha256)}
        while held.room != 600_000 + len(content):  # noqa: ASYNC110 - what nobody uses can go
            await asyncio.sleep(0)
        with lab.store.using([model.sha256]):
            while held.room != 600_000:  # noqa: ASYNC110
                await asyncio.sleep(0)
        changed.clear()
        lab.store.delete([model.sha256])
        await changed.wait()
        assert held.digests == frozenset()


async def test_who_fetches_none_tells_what_it_holds_and_no_room(
    hub: ModelHub, tmp_path: Path
) -> None:
    lab = ModelLab(hub, tmp_path)
    model = lab.locked(safetensors())
    await lab.fetcher.bring(model)
    held = HeldModels(lab.store, ModelUpkeep(lab.store), fetches=False)
    await held.look()
    assert held.digests == {short(model.sha256)}
    assert held.room is None


async def test_a_record_of_very_many_models_stays_small(farm: Farm, hub: ModelHub) -> None:
    digests = frozenset(f"{number:016x}" for number in range(10_000))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    state = WorkerState(
        id=WorkerId("w"),
        pid=1,
        host="h",
        version="1",
        engine_ok=True,
        models=digests,
        models_room=0,
        seen_at=at,
        started_at=at,
    )
    workers = farm.services.workers
    await workers.beat(state, ttl_s=KEPT_S)
    [read] = await workers.known()
    assert (len(read.models), read.models_room) == (MOST_MODELS, 0)
    [item] = (await farm.table.query("main", "WORKER", limit=2)).items
    assert len(str(item)) < 10_000
    lab = ModelLab(hub, Path("unused"))
    held, other = (lab.locked(safetensors(seed=each)) for each in "ab")
    holder = replace(state, models=frozenset({short(held.sha256)}))
    assert (holder.holds([held]), holder.holds([held, other]), holder.holds([])) == (
        True,
        False,
        True,
    )
