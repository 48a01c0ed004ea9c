"""A start over a damaged database is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from comfyq.bootstrap.machine.data_check import refuse_damage
from comfyq.config import Settings
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


def test_a_damaged_one_is_refused_with_what_to_do(file: Path) -> None:
    with file.open("r+b") as content:
        content.seek(8 * 4096)
        content.write(b"\xa5" * 4096)
    with pytest.raises(TableUnavailable, match=r"is damaged .* then restore it") as refused:
        refuse_damage(settings_of(file.parent))
    assert str(file) in str(refused.value)
