"""Workers of a data directory whose processes were killed."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest

from comfyq.bootstrap.identity import OwnFolder, WorkerIdTaken, take_identity
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker import evict_dead_workers, remove_dead_workers
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import WorkerId
from comfyq.records.workers import WorkerState
from tests.farm import Farm

pytestmark = pytest.mark.anyio


@pytest.fixture
def services(farm: Farm, tmp_path: Path) -> Services:
    return Services(replace(farm.services.settings, data_dir=tmp_path), farm.services.ports)


async def started(services: Services, engine: str) -> OwnFolder:
    """A worker that has sent a heartbeat; it dies where its lock is released."""
    own = take_identity(services.settings, engine=engine)
    now = services.ports.clock.now()
    state = WorkerState(
        id=own.worker, pid=1, host="h", version="1", engine_ok=True, seen_at=now, started_at=now
    )
    await services.workers.beat(state, ttl_s=60)
    return own


async def live(services: Services) -> Sequence[WorkerId]:
    return [worker.id for worker in await services.workers.live()]


@pytest.mark.parametrize("remove", [remove_dead_workers, evict_dead_workers])
async def test_the_dead_are_removed_and_the_living_are_not(
    services: Services, remove: Callable[[Services], Awaitable[None]]
) -> None:
    dead, other = await started(services, "one"), await started(services, "two")
    elsewhere = Services(
        replace(services.settings, data_dir=services.settings.data_dir / "elsewhere"),
        services.ports,
    )
    far = await started(elsewhere, "one")
    dead.lock.release()
    far.lock.release()
    assert len(await live(services)) == 3
    await remove(services)
    assert await live(services) == sorted([other.worker, far.worker])
    other.lock.release()


async def test_an_id_is_waited_for_while_its_dead_worker_is_looked_after(
    services: Services,
) -> None:
    settings = services.settings
    named = replace(settings, worker=replace(settings.worker, worker_id="gpu"))
    first = take_identity(named, engine="one")
    with pytest.raises(WorkerIdTaken):
        take_identity(named, engine="one")
    file = first.path / "lock"
    file.write_text("1")  # as if another process had been it
    Timer(0.5, first.lock.release).start()
    take_identity(named, engine="one").lock.release()
    assert file.read_text().strip() == str(os.getpid())


async def test_ids_of_running_workers_are_passed_without_a_wait(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [take_identity(services.settings, engine="one") for _ in range(8)]
    pauses: list[float] = []
    monkeypatch.setattr("comfyq.bootstrap.identity.sleep", pauses.append)
    monkeypatch.setattr("time.sleep", pauses.append)
    all_of_them = [*first, take_identity(services.settings, engine="one")]
    monkeypatch.undo()
    assert pauses == []
    assert len({own.worker for own in all_of_them}) == 9
    for own in all_of_them:
        own.lock.release()


async def test_a_predecessor_that_starts_again_is_not_removed(services: Services) -> None:
    before = await started(services, "one")
    before.lock.release()
    await remove_dead_workers(services)
    after = await started(services, "one")
    await remove_dead_workers(services)
    assert await live(services) == [before.worker] == [after.worker]
    after.lock.release()


async def test_what_could_not_be_removed_is_removed_later(farm: Farm, services: Services) -> None:
    (await started(services, "one")).lock.release()
    farm.table.faults_before.append(TableUnavailable("503"))
    await remove_dead_workers(services)
    assert len(await live(services)) == 1
    await remove_dead_workers(services)
    assert await live(services) == []


async def test_a_lock_that_another_process_holds_for_a_moment_is_no_life(
    services: Services,
) -> None:
    dead = await started(services, "one")
    removing = asyncio.create_task(remove_dead_workers(services))
    await asyncio.sleep(0)  # it has met the lock, which another process has just to remove it
    dead.lock.release()
    await removing
    assert await live(services) == []
