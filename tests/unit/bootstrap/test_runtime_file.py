from pathlib import Path

import pytest

from comfyq.adapters.filesystem.lock import Lock, hold
from comfyq.bootstrap import runtime_file as module
from comfyq.bootstrap.runtime_file import NotRunning, read_runtime, runtime_file

FIRST, SECOND = {"COMFYQ_URL": "http://first"}, {"COMFYQ_URL": "http://second"}


def test_two_in_one_directory_do_not_overwrite_each_other(tmp_path: Path) -> None:
    with runtime_file(tmp_path, FIRST):
        with runtime_file(tmp_path, SECOND):
            assert read_runtime(tmp_path) == FIRST
        assert read_runtime(tmp_path) == FIRST
    with pytest.raises(NotRunning):
        read_runtime(tmp_path)


def test_the_first_may_end_before_the_second(tmp_path: Path) -> None:
    first = runtime_file(tmp_path, FIRST)
    first.__enter__()
    with runtime_file(tmp_path, SECOND):
        first.__exit__(None, None, None)
        assert read_runtime(tmp_path) == SECOND


def test_what_a_killed_one_left_names_nobody_and_is_removed(tmp_path: Path) -> None:
    with runtime_file(tmp_path, FIRST):
        [file] = (tmp_path / "up").iterdir()
        assert file.stat().st_mode & 0o077 == 0, "it may name secrets"
        left = file.with_name("1-killed.json")
        left.write_bytes(file.read_bytes())
    with pytest.raises(NotRunning):
        read_runtime(tmp_path)
    with runtime_file(tmp_path, SECOND):
        assert read_runtime(tmp_path) == SECOND
        assert not left.exists()


def test_an_unfinished_file_is_removed_unless_its_process_lives(tmp_path: Path) -> None:
    left, written = tmp_path / "up" / "1-killed.new", tmp_path / "up" / "2-alive.new"
    lock = hold(written)
    left.write_text("{")
    with runtime_file(tmp_path, FIRST):
        assert not left.exists()
        assert written.exists()
    lock.release()


def test_a_file_that_another_process_removes_before_it_is_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []

    def held_too_late(path: Path) -> Lock:
        lock = hold(path)
        if not removed:
            path.unlink()
            removed.append(path)
        return lock

    monkeypatch.setattr(module, "hold", held_too_late)
    with runtime_file(tmp_path, FIRST):
        assert removed
        assert read_runtime(tmp_path) == FIRST


def test_what_cannot_be_published_leaves_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(TypeError),
        runtime_file(tmp_path, {"COMFYQ_URL": object()}),  # type: ignore[dict-item]
    ):
        pass
    assert not list((tmp_path / "up").iterdir())
