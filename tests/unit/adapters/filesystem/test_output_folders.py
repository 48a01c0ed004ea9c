"""Outputs by day and job: links that come with a job's end and go with the job."""

import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from comfyq.bootstrap.backends.embedded import stored_files
from comfyq.bootstrap.machine.output_folders import linked_file, output_folders
from comfyq.bootstrap.ports import MissingSetting
from comfyq.config import read_settings
from comfyq.domain.job import Job
from tests.api_lab import ApiLab, output

pytestmark = pytest.mark.anyio

PROMPT = "A red fox, in the snow (masterpiece:1.2)/and more than fits into a name"


class Lab(ApiLab):
    """The API with folders of outputs, and stored files on a disk."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "pictures"
        super().__init__(COMFYQ_DATA_DIR=home / "data", COMFYQ_OUTPUTS_DIR=self.folder)
        self.stored = stored_files(self.services.settings).path_of

    def keep(self, key: str, content: bytes) -> Path:
        file = self.stored(key)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    async def made(self, *names: str, **values: object) -> Job:
        """A job that has made files of these names, and was announced."""
        job_id = self.submit(prompt=PROMPT, **values)["id"]
        outputs = [output(f"{job_id}-{name}") for name in names]
        for each in outputs:
            self.keep(each.key, each.filename.encode())
        job = await self.succeed(job_id, *outputs)
        return await self.services.announcer.announce_end(job)

    def shown(self) -> list[Path]:
        return sorted(each for each in self.folder.rglob("*") if not each.is_dir())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


async def test_files_are_found_by_day_and_job(lab: Lab) -> None:
    job = await lab.made("a.png", "b.png")
    local = job.created_at.astimezone()
    day, name = f"{local:%Y-%m-%d}", f"{local:%H.%M.%S} flux-dev a-red-fox-in-the-snow"
    first, second = (file.relative_to(lab.folder) for file in lab.shown())
    assert first.parts[0] == day
    assert first.parts[1].startswith(name)
    assert first.parts[1].endswith(f" {job.id[:13]}")
    assert (first.name[:3], second.name[:3]) == ("00 ", "01 ")
    assert first.parent == second.parent


async def test_a_link_takes_no_room_and_is_made_once(lab: Lab) -> None:
    job = await lab.made("a.png")
    [link] = lab.shown()
    stored = lab.stored(f"outputs/{job.id}-a.png")
    assert link.samefile(stored)
    await lab.services.announcer.announce_end(job)
    assert lab.shown() == [link]
    assert stored.stat().st_nlink == 2


async def test_another_disk_gets_symbolic_links(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    job = await lab.made("a.png")
    [link] = lab.shown()
    assert link.is_symlink()
    assert link.read_text() == f"{job.id}-a.png"


async def test_links_go_with_their_job(lab: Lab) -> None:
    job, other = await lab.made("a.png"), await lab.made("b.png")
    lab.client.delete(f"/generate/{job.id}?purge=true")
    [left] = lab.shown()
    assert left.parent.name.endswith(other.id[:13])
    lab.clock.advance(8 * 86_400)
    assert (await lab.reaper.reap())["deleted"] == 1
    assert list(lab.folder.iterdir()) == []


async def test_an_owners_own_files_stay(lab: Lab) -> None:
    job = await lab.made("a.png")
    [link] = lab.shown()
    own = link.with_name("notes.txt")
    own.write_text("mine")
    lab.client.delete(f"/generate/{job.id}?purge=true")
    assert lab.shown() == [own]


async def test_a_long_name_of_any_script_is_cut_to_what_a_disk_takes(lab: Lab) -> None:
    job = await lab.made()
    lab.keep("outputs/long.png", b"pixels")
    long = replace(output("long.png"), filename=f"{'狐' * 100}.png")
    folders = output_folders(lab.services.settings)
    assert folders is not None
    await folders.add(job, [long], prompt=PROMPT)
    [link] = lab.shown()
    assert link.name.startswith("00 狐")
    assert link.suffix == ".png"


async def test_a_folder_that_cannot_be_written_fails_no_job(lab: Lab) -> None:
    lab.folder.parent.mkdir(exist_ok=True)
    lab.folder.write_text("a file")
    job = await lab.made("a.png")
    assert lab.show(job.id)["status"] == "completed"


async def test_open_finds_the_link(lab: Lab) -> None:
    job = await lab.made("a.png", "b.png")
    settings = lab.services.settings
    assert linked_file(settings, lab.show(job.id), 1) == lab.shown()[1]
    assert linked_file(settings, lab.show(job.id), 2) is None
    shutil.rmtree(lab.folder)
    assert linked_file(settings, lab.show(job.id), 1) is None


async def test_another_time_zone_does_not_lose_them(lab: Lab) -> None:
    job = await lab.made("a.png")
    day = next(lab.folder.iterdir())
    moved = job.created_at.astimezone() + timedelta(days=1)
    day.rename(lab.folder / f"{moved:%Y-%m-%d}")
    lab.client.delete(f"/generate/{job.id}?purge=true")
    assert lab.shown() == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = read_settings({"COMFYQ_OUTPUTS_DIR": str(tmp_path / "file" / "pictures")})
    with pytest.raises(MissingSetting, match="cannot be written"):
        output_folders(settings)


@pytest.mark.parametrize("elsewhere", [{"COMFYQ_BACKEND": "aws"}, {"MINIO_ENDPOINT": "minio:9000"}])
def test_files_elsewhere_cannot_be_linked(elsewhere: dict[str, str]) -> None:
    settings = read_settings({"COMFYQ_OUTPUTS_DIR": "pictures"} | elsewhere)
    with pytest.raises(MissingSetting, match="COMFYQ_OUTPUTS_DIR"):
        output_folders(settings)
