"""ComfyUI's output, temp and input folder, as the worker's machine has them."""

import math
import os
from datetime import datetime
from pathlib import Path

FOLDERS = ("output", "temp", "input")
OWN_INPUTS = "comfyq"  # subfolder of input/ that only workers use


class NotComfyUI(Exception):
    """The configured directory is not ComfyUI's."""


class ComfyFolders:
    """``base`` is the directory that has output, temp and input; each may be a symbolic link."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def check(self) -> None:
        """Raise NotComfyUI if ``base`` lacks ComfyUI's folders."""
        if not (self._base / "input").is_dir():
            raise NotComfyUI(
                f"{self._base} has no folder `input`, so it is not ComfyUI's directory; name the "
                "one with its input, output and temp folders, or leave --comfyui-dir out"
            )

    @property
    def output(self) -> Path:
        return self._base / "output"

    def remove(self, folder: str, name: str) -> bool:
        """Implement the port; targets of symbolic links are not deleted."""
        path = self._path(folder, name)
        if path is None:
            return False
        try:
            path.unlink()
        except OSError:
            return False
        self._prune(path.parent, top=self._top(folder))
        return True

    def sweep(self, *, before: datetime) -> int:
        """Delete inputs older than ``before``, which killed workers could not remove."""
        own = self._top("input") / OWN_INPUTS
        if own.is_symlink():
            return 0
        files = [Path(folder, name) for folder, _, names in os.walk(own) for name in names]
        old = [path for path in files if _written(path) < before.timestamp()]
        for path in old:
            path.unlink(missing_ok=True)
            self._prune(path.parent, top=own)
        return len(old)

    def _top(self, folder: str) -> Path:
        return (self._base / folder).resolve()

    def _path(self, folder: str, name: str) -> Path | None:
        """Return the file's path if it is a file inside the folder with no link on its path."""
        if folder not in FOLDERS:
            return None
        parts = name.replace("\\", "/").split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            return None
        top = self._top(folder)
        path = top.joinpath(*parts)
        if path.is_symlink() or not path.is_file():
            return None
        return path if path.resolve() == path and path.is_relative_to(top) else None

    def _prune(self, folder: Path, *, top: Path) -> None:
        while folder != top:
            try:
                os.rmdir(folder)
            except OSError:
                return  # it is not empty
            folder = folder.parent


def _written(path: Path) -> float:
    """Epoch seconds; of a file that has gone meanwhile, the end of time."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return math.inf
