"""The right to supervise a ComfyUI: one process a data directory, which notes ComfyUI's pid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from comfyq.adapters.filesystem.lock import AlreadyHeld, Lock, hold
from comfyq.config import Settings


class SupervisorTaken(Exception):
    """Another process of this machine supervises the ComfyUI."""


@dataclass(frozen=True, slots=True)
class Charge:
    """The exclusive right to start and stop one ComfyUI; the lock ends with our process."""

    note: Path
    lock: Lock

    def release(self) -> None:
        self.lock.release()


def take_charge(settings: Settings, comfyui: Sequence[str]) -> Charge:
    """Take the right over the ComfyUI at these URLs, whatever command starts it.

    Raises:
        SupervisorTaken.
    """
    name = f"{crc32(' '.join(comfyui).encode()):08x}"
    path = settings.data_dir / "supervisors" / name
    try:
        return Charge(path / "process.json", hold(path / "lock"))
    except AlreadyHeld:
        raise SupervisorTaken(
            f"another comfyq of {settings.data_dir} starts the ComfyUI at {', '.join(comfyui)}: "
            "stop that one, or leave --comfyui-command out"
        ) from None
