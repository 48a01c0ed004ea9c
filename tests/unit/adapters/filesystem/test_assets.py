"""What is synced when a file is stored, and what is left where that fails."""

import os
from pathlib import Path

import pytest

from comfyq.adapters.filesystem.assets import FileAssets
from comfyq.domain.errors import AssetsUnavailable

pytestmark = pytest.mark.anyio

KEY = "outputs/job/1/0-a.png"


@pytest.fixture
def assets(tmp_path: Path) -> FileAssets:
    return FileAssets(folder=tmp_path / "stored")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the inodes of what was synced, in order."""
    inodes, fsync = list[int](), os.fsync

    def noted(descriptor: int) -> None:
        inodes.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return inodes


async def put(assets: FileAssets, source: Path, content: bytes) -> Path:
    source.write_bytes(content)
    await assets.put(KEY, source, content_type="image/png")
    return assets.path_of(KEY)


async def test_a_new_file_and_an_old_one_are_synced_with_their_folder(
    assets: FileAssets, tmp_path: Path, synced: list[int]
) -> None:
    await put(assets, tmp_path / "0", b"first")  # makes the folders
    assets.path_of(KEY).unlink()
    for number, content in enumerate([b"second", b"third"], start=1):
        synced.clear()
        stored = await put(assets, tmp_path / str(number), content)
        assert stored.read_bytes() == content
        assert set(synced) == {stored.stat().st_ino, stored.parent.stat().st_ino}
        assert os.listdir(stored.parent) == [stored.name]


@pytest.mark.parametrize("is_there", [False, True])
async def test_what_cannot_be_synced_is_not_stored(
    assets: FileAssets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    stored = await put(assets, tmp_path / "0", b"first")
    if not is_there:
        stored.unlink()

    def refused(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(AssetsUnavailable):
        await put(assets, tmp_path / "1", b"second")
    if is_there:
        assert stored.read_bytes() == b"first"
    else:
        assert not stored.exists()


async def test_a_key_has_the_path_that_it_always_had(assets: FileAssets, tmp_path: Path) -> None:
    folder = tmp_path / "stored"
    assert assets.path_of(KEY) == folder / "outputs" / "1c" / "job%2F1%2F0-a.png"
    assert assets.path_of("a/./é#").name == "%C3%A9%23"
    assert len(assets.path_of(f"a/{'x/' * 100}y").name) == 64, "a name that is too long is a hash"
