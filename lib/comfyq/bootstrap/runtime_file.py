"""The files in which each running ``comfyq up`` publishes its settings to other processes."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from comfyq.adapters.filesystem.lock import AlreadyHeld, Lock, hold, is_held

FOLDER = "up"  # a file for each process, which holds its lock
COMFYUI_URLS = "comfyui"  # beside the variables: the ComfyUIs that it has workers for


class NotRunning(Exception):
    """No ``comfyq up`` has written its settings there."""


@contextmanager
def runtime_file(data_dir: Path, exports: Mapping[str, str]) -> Iterator[None]:
    """Publish, while the body runs, the environment variables for processes that join this one."""
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    _remove_left(folder)
    fresh, lock = _new_file(folder)
    file = fresh.with_suffix(".json")
    try:
        fresh.write_text(json.dumps(exports, indent=2))
        fresh.replace(file)
        yield
    finally:
        fresh.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        lock.release()


def read_runtime(data_dir: Path) -> Mapping[str, str]:
    """Return the variables of the longest running ``comfyq up``; raises NotRunning."""
    for file in sorted((data_dir / FOLDER).glob("*.json"), key=_written_at):
        if is_held(file):
            try:
                exports: Mapping[str, str] = json.loads(file.read_text())
            except FileNotFoundError:
                continue  # it has ended meanwhile
            return exports
    raise NotRunning(
        f"no `comfyq up` runs with the data directory {data_dir}; start one, or name its "
        "directory with --data-dir"
    )


def _new_file(folder: Path) -> tuple[Path, Lock]:
    """Make a file that only its owner can read, with its lock, which follows it to its name."""
    while True:
        fresh = folder / f"{os.getpid()}-{secrets.token_hex(3)}.new"
        lock = hold(fresh)
        try:
            fresh.chmod(0o600)  # it may name secrets
        except FileNotFoundError:  # removed by another process before it was held
            lock.release()
        else:
            return fresh, lock


def _remove_left(folder: Path) -> None:
    """Remove the files of processes that were killed, finished or not."""
    for file in (*folder.glob("*.json"), *folder.glob("*.new")):
        try:
            lock = hold(file, wait_s=0)
        except AlreadyHeld:
            continue
        file.unlink(missing_ok=True)  # while it is held: nobody can begin to use it
        lock.release()


def _written_at(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
