"""The identity of a worker: an id that outlives its process and that no other process has."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from zlib import crc32

from comfyq.adapters.filesystem.lock import AlreadyHeld, Lock, hold
from comfyq.config import Settings
from comfyq.domain.job import WorkerId

SLOTS = 64  # workers of one ComfyUI on one machine


class WorkerIdTaken(Exception):
    """Another process of this machine is this worker."""


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """The folder that a worker keeps between its processes: lock, journal, spool."""

    worker: WorkerId
    path: Path
    lock: Lock

    @property
    def journal(self) -> Path:
        return self.path / "claims"

    @property
    def left(self) -> Path:
        """Jobs that were taken from it when it was found dead: its ComfyUI may not know."""
        return self.path / "left"


def take_identity(settings: Settings, *, engine: str) -> OwnFolder:
    """The setting's id, or the first that nobody on this machine has for this ComfyUI.

    A restarted worker so gets the id that its former process had, and with it that one's leases.
    ``engine`` names the ComfyUI: prompts that were left behind are looked for there.

    Raises:
        WorkerIdTaken: the id of the setting is in use.
    """
    wanted = settings.worker.worker_id
    names = [wanted] if wanted else _names(settings, engine)
    for name in names:
        path = settings.data_dir / "workers" / name
        try:
            return OwnFolder(WorkerId(name), path, hold(path / "lock"))
        except AlreadyHeld:
            continue
    raise WorkerIdTaken(f"worker {wanted or engine} is running already on this machine")


def dead_workers(settings: Settings) -> Iterator[OwnFolder]:
    """The folders of workers whose process is gone, each locked while it is looked at."""
    for path in sorted((settings.data_dir / "workers").glob("*")):
        if not (path / "claims").exists():
            continue
        try:
            lock = hold(path / "lock", wait_s=0)
        except AlreadyHeld:
            continue  # it lives
        try:
            yield OwnFolder(WorkerId(path.name), path, lock)
        finally:
            lock.release()


def _names(settings: Settings, engine: str) -> list[str]:
    """Host names repeat between machines, so a token made once tells data directories apart."""
    token_file = settings.data_dir / "workers" / ".token"
    if not token_file.exists():
        token_file.parent.mkdir(parents=True, exist_ok=True)
        token_file.write_text(secrets.token_hex(3))
    prefix = f"{gethostname()}-{token_file.read_text()}-{crc32(engine.encode()):08x}"
    return [f"{prefix}-{slot}" for slot in range(SLOTS)]
