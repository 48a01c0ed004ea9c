"""A start over a damaged database is refused."""

import errno
import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NoReturn

import pytest

from comfyq.bootstrap.machine import data_check
from comfyq.bootstrap.machine.data_check import data_findings, refuse_damage
from comfyq.config import Settings
from comfyq.domain.diagnosis import Finding, FindingState
from comfyq.domain.errors import TableUnavailable


def settings_of(folder: Path) -> Settings:
    return Settings(data_dir=folder)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "comfyq.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE item (body TEXT)")
        connection.executemany("INSERT INTO item VALUES (?)", [("x" * 3_000,)] * 20)
        connection.commit()
    return file


def test_a_whole_database_is_used(file: Path) -> None:
    refuse_damage(settings_of(file.parent))


def test_a_database_that_is_not_there_yet_is_made_later(tmp_path: Path) -> None:
    refuse_damage(settings_of(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def findings_of(folder: Path) -> dict[str, Finding]:
    return {each.subject: each for each in data_findings(settings_of(folder))}


def test_a_folder_that_cannot_be_made_is_told_before_the_start(tmp_path: Path) -> None:
    assert findings_of(tmp_path / "new" / "one")["data directory"].state is FindingState.OK
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        finding = findings_of(folder)["data directory"]
        assert finding.state is FindingState.WRONG
        assert "Not a directory" in finding.told
        assert "stands where a folder is needed" in str(finding.remedy)


def test_a_full_disk_is_to_be_freed_and_nothing_restored(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def unopened(*_: object) -> NoReturn:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(data_check, "version_fault", unopened)
    assert findings_of(file.parent)["database"].remedy == data_check.RESTORE
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    findings = findings_of(file.parent)
    for subject in ("data directory", "database"):
        assert findings[subject].state is FindingState.WRONG
        assert str(findings[subject].remedy).startswith("free space on its disk")


def test_a_damaged_one_is_refused_with_what_to_do(file: Path) -> None:
    with file.open("r+b") as content:
        content.seek(8 * 4096)
        content.write(b"\xa5" * 4096)
    with pytest.raises(TableUnavailable, match=r"is damaged .* then restore it") as refused:
        refuse_damage(settings_of(file.parent))
    assert str(file) in str(refused.value)
