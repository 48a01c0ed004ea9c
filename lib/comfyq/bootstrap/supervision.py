"""The process that supervises a ComfyUI for this data directory, and its note of it."""

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
    """The right to start and to stop one ComfyUI; the kernel ends it with our process."""

    note: Path
    lock: Lock

    def release(self) -> None:
        self.lock.release()


def take_charge(settings: Settings, comfyui: Sequence[str]) -> Charge:
    """Of the ComfyUI at these URLs, whichever command starts it.

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
