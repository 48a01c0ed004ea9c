from pathlib import Path

import pytest

from comfyq.adapters.system.space import DiskSpace
from comfyq.bootstrap.disks import space_of
from comfyq.config import Settings, WorkerSettings
from comfyq.edges.worker.space_watch import SpaceWatch

pytestmark = pytest.mark.anyio


class ScriptedSpace:
    def __init__(self) -> None:
        self.told: str | None = None

    def shortage(self) -> str | None:
        return self.told


async def test_there_is_room_again_when_something_was_freed() -> None:
    space = ScriptedSpace()
    watch = SpaceWatch(space)
    await watch.look()
    assert watch.ok
    space.told = "the disk is full"
    await watch.look()
    assert (watch.ok, watch.reason) == (False, "the disk is full")
    space.told = None
    await watch.look()
    await watch.wait_ok()
    assert watch.reason is None


def test_a_disk_with_less_than_is_asked_for_is_named(tmp_path: Path) -> None:
    folders = {"the data directory": tmp_path / "not" / "made" / "yet"}
    assert DiskSpace(folders, least_bytes=0).shortage() is None
    shortage = DiskSpace(folders, least_bytes=10**18).shortage()
    assert shortage is not None
    assert str(folders["the data directory"]) in shortage


def test_health_names_the_data_directory_and_no_worker(tmp_path: Path) -> None:
    worker = WorkerSettings(min_free_bytes=10**18, worker_id="the-host-of-somebody")
    settings = Settings(data_dir=tmp_path / "data", worker=worker)
    shortage = space_of(settings, None).shortage()
    assert shortage is not None
    assert f"the data directory ({str(tmp_path / 'data')!r}) has" in shortage
