"""Files that jobs leave on ComfyUI's disk are deleted; others stay."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from comfyq.adapters.filesystem.folders import ComfyFolders, NotComfyUI
from comfyq.domain.errors import AssetsUnavailable
from comfyq.domain.job import Job, JobStatus
from comfyq.ports.engine import Ended, Rendered, Started
from comfyq.services.worker.disk_cleanup import DiskCleanup
from tests.farm import Farm
from tests.scripted_engine import ScriptedEngine, Step

pytestmark = pytest.mark.anyio

INPUTS = "comfyq/abcd"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for folder in ("output", "temp", "input"):
        (tmp_path / "ComfyUI" / folder).mkdir(parents=True)
    return tmp_path / "ComfyUI"


def made(base: Path, name: str) -> Path:
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"pixels")
    return path


def saved(base: Path, job: Job) -> tuple[Rendered, Path]:
    subfolder = f"comfyq/{job.id}/1"
    path = made(base, f"output/{subfolder}/a_00001_.png")
    return Rendered("9", filename=path.name, subfolder=subfolder), path


def disk_cleanup(base: Path, *, kept: int = 2) -> DiskCleanup:
    return DiskCleanup(folders=ComfyFolders(base), inputs=INPUTS, kept=kept)


async def run(farm: Farm, disk_cleanup: DiskCleanup, *script: Step) -> None:
    await farm.worker("w1", ScriptedEngine(*script), disk_cleanup=disk_cleanup).run_once()


async def test_what_is_stored_is_removed_with_its_empty_folders(farm: Farm, base: Path) -> None:
    job = await farm.submit()
    file, path = saved(base, job)
    await run(farm, disk_cleanup(base), Started(), Ended([file]))
    assert (await farm.records.get(job.id)).status is JobStatus.SUCCEEDED
    assert not path.exists()
    assert list((base / "output").iterdir()) == [], "the folders that it made are gone as well"
    assert (base / "output").is_dir()


async def test_what_could_not_be_stored_stays(
    farm: Farm, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise AssetsUnavailable("away")

    monkeypatch.setattr(farm.assets, "put", refuse)
    job = await farm.submit()
    file, path = saved(base, job)
    await run(farm, disk_cleanup(base), Started(), Ended([file]))
    assert (await farm.records.get(job.id)).status is JobStatus.FAILED
    assert path.exists()


@pytest.mark.parametrize("name", ["output/mine.png", "output/comfyq/another/1/a.png", "input/a"])
async def test_what_is_not_under_the_jobs_own_name_stays(name: str, farm: Farm, base: Path) -> None:
    await farm.submit()
    path = made(base, name)
    folder, _, rest = name.partition("/")
    subfolder, _, filename = rest.rpartition("/")
    file = Rendered("9", filename=filename, subfolder=subfolder, folder=folder)
    await run(farm, disk_cleanup(base), Started(), Ended([file]))
    assert path.exists()


async def test_the_newest_temporary_files_stay_for_cached_runs(farm: Farm, base: Path) -> None:
    keeping = disk_cleanup(base, kept=2)
    paths = [made(base, f"temp/{name}.png") for name in "abc"]
    for name in ("a", "b", "a", "c"):
        await farm.submit()
        file = Rendered("9", filename=f"{name}.png", folder="temp")
        await run(farm, keeping, Started(), Ended([file]))
    assert [path.exists() for path in paths] == [True, False, True], "b was named longest ago"


async def test_an_input_goes_with_the_last_job_that_uses_it(farm: Farm, base: Path) -> None:
    keeping = disk_cleanup(base)
    path = made(base, f"input/{INPUTS}/comfyq-1.png")
    first, second = await farm.submit(), await farm.submit()
    for job in (first, second):
        keeping.uses(job, "comfyq-1.png")
    keeping.ended(first.id, first.attempt)
    assert path.exists()
    keeping.ended(second.id, second.attempt)
    assert not path.exists()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("output", "../secret"),
        ("output", "a/../../secret"),
        ("output", "/etc/hostname"),
        ("output", ""),
        ("output", "linked/secret"),
        ("output", "link"),
        ("output", "folder"),
        ("models", "a.safetensors"),
        ("..", "secret"),
    ],
)
def test_no_name_leads_out_of_the_folders(folder: str, name: str, base: Path) -> None:
    others = [made(base.parent, "outside/secret"), made(base, "secret"), made(base, "models/a")]
    (base / "output" / "linked").symlink_to(base.parent / "outside")
    (base / "output" / "link").symlink_to(others[0])
    (base / "output" / "folder").mkdir()
    assert not ComfyFolders(base).remove(folder, name)
    assert all(path.exists() for path in others)
    assert (base / "output" / "link").is_symlink()


def test_a_folder_that_is_a_link_is_followed(base: Path) -> None:
    (base / "output").rmdir()
    (base.parent / "disk").mkdir()
    (base / "output").symlink_to(base.parent / "disk")
    path = made(base.parent, "disk/comfyq/a.png")
    assert ComfyFolders(base).remove("output", "comfyq/a.png")
    assert not path.exists()


def test_inputs_that_dead_workers_left_are_swept_when_they_are_old(farm: Farm, base: Path) -> None:
    old, new = made(base, "input/comfyq/1/a.png"), made(base, "input/comfyq/2/b.png")
    others = made(base, "input/c.png")
    now = farm.clock.now()
    for path in (old, others):
        os.utime(path, times=(0, (now - timedelta(days=2)).timestamp()))
    os.utime(new, times=(0, now.timestamp()))
    assert ComfyFolders(base).sweep(before=now - timedelta(days=1)) == 1
    assert [path.exists() for path in (old, new, others)] == [False, True, True]


def test_a_directory_that_is_not_comfyuis_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotComfyUI, match=str(tmp_path)):
        ComfyFolders(tmp_path).check()
