"""Files of the data directory are their owner's alone, whatever the umask was."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from comfyq.local.private_files import keep_private


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> set[tuple[bool, int]]:
    everything = [folder, *folder.rglob("*")]
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in everything}


def test_new_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "data"
    keep_private(folder)
    (folder / "up").mkdir()
    (folder / "up" / "note").write_text("secret")
    database = sqlite3.connect(folder / "comfyq.db")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (a)")
    names = {path.name for path in folder.iterdir()}
    assert names == {"up", "comfyq.db", "comfyq.db-wal", "comfyq.db-shm"}
    assert modes(folder) == {(True, 0o700), (False, 0o600)}
    database.close()


def test_a_folder_of_an_earlier_version_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    keep_private(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
