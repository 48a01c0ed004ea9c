import shutil
from collections.abc import Mapping
from pathlib import Path

GIGABYTE = 10**9


class DiskSpace:
    """Check that the disks of ``folders``, which map names to paths, have ``least_bytes`` free."""

    def __init__(self, folders: Mapping[str, Path], *, least_bytes: int) -> None:
        self._folders = folders
        self._least_bytes = least_bytes

    def shortage(self) -> str | None:
        shortages = [self._shortage(name, folder) for name, folder in self._folders.items()]
        return "; ".join(filter(None, shortages)) or None

    def _shortage(self, name: str, folder: Path) -> str | None:
        try:
            free = free_bytes(folder)
        except OSError:
            return None  # the code that writes there reports what is wrong
        if free >= self._least_bytes:
            return None
        return (
            f"{name} ({str(folder)!r}) has {free / GIGABYTE:.2f} GB left, and "
            f"COMFYQ_MIN_FREE_BYTES asks for {self._least_bytes / GIGABYTE:.2f} GB: free some"
        )


def free_bytes(folder: Path) -> int:
    """Return what is free on the disk of a folder, which need not exist yet."""
    return shutil.disk_usage(_existing(folder)).free


def _existing(folder: Path) -> Path:
    """Return the folder, or the existing parent that it will be made in."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
