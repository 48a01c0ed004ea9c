import shutil
from collections.abc import Mapping
from pathlib import Path

GIGABYTE = 10**9


class DiskSpace:
    """Looks at the disks of ``folders`` (by what they are called) for ``least_bytes`` of room."""

    def __init__(self, folders: Mapping[str, Path], *, least_bytes: int) -> None:
        self._folders = folders
        self._least_bytes = least_bytes

    def shortage(self) -> str | None:
        told = [self._shortage(name, folder) for name, folder in self._folders.items()]
        return "; ".join(filter(None, told)) or None

    def _shortage(self, name: str, folder: Path) -> str | None:
        try:
            free = shutil.disk_usage(_existing(folder)).free
        except OSError:
            return None  # whoever writes there says what is wrong with it
        if free >= self._least_bytes:
            return None
        return (
            f"{name} ({folder}) has {free / GIGABYTE:.2f} GB left, and COMFYQ_MIN_FREE_BYTES asks "
            f"for {self._least_bytes / GIGABYTE:.2f} GB: free some"
        )


def _existing(folder: Path) -> Path:
    """The folder, or what it will be made in."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
