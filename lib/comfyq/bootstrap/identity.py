"""The identity of a worker: an id that outlives its process and that no other process has."""

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from time import monotonic, sleep
from zlib import crc32

from comfyq.adapters.filesystem.lock import (
    AlreadyHeld,
    Lock,
    hold,
    hold_existing,
    holder_of,
    is_held,
)
from comfyq.config import Settings
from comfyq.domain.job import WorkerId

SLOTS = 64  # workers of one ComfyUI on one machine
RESTART_S = 10.0  # how long a dead worker's id may be locked while its jobs are released
PROBE_S = 0.2  # how long a look at whether it is locked may lock it
RETRY_S = 0.01


class WorkerIdTaken(Exception):
    """Another process of this machine runs under this worker id."""


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
        """Return the file of jobs that were taken from this worker after its death: its ComfyUI
        may still run their prompts."""
        return self.path / "left"

    @property
    def shown(self) -> Path:
        """Return the file that is there while the table may have a heartbeat of this worker."""
        return self.path / "shown"


def take_identity(settings: Settings, *, engine: str) -> OwnFolder:
    """Lock the id of the settings, or the first free one of this machine for this ComfyUI.

    So a restarted worker gets its former process's id, and with it that process's leases.
    ``engine`` names the ComfyUI in which that process may have left prompts.

    Raises:
        WorkerIdTaken: the id of the setting is in use.
    """
    wanted = settings.worker.worker_id
    names = [wanted] if wanted else _names(settings, engine)
    for name in names:
        path = settings.data_dir / "workers" / name
        try:
            own = OwnFolder(WorkerId(name), path, _held(path / "lock", again=bool(wanted)))
        except AlreadyHeld:
            continue
        os.pwrite(own.lock.descriptor, f"{os.getpid():<10}".encode(), 0)
        own.shown.touch()
        return own
    raise WorkerIdTaken(
        f"worker {wanted or engine} is running already on this machine: stop it, or set another "
        "COMFYQ_WORKER_ID"
    )


def dead_workers(settings: Settings) -> Iterator[OwnFolder]:
    """Yield the folder of each worker whose process is gone, locked while the caller uses it."""
    folder = settings.data_dir / "workers"
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        lock = hold_existing(f"{folder}/{name}/lock")
        if lock is None:
            continue  # its process runs
        try:
            yield OwnFolder(WorkerId(name), folder / name, lock)
        finally:
            lock.release()


def worker_processes(settings: Settings) -> Sequence[int | None]:
    """Return the process of each worker that runs; None for one that cannot be told."""
    locks = (settings.data_dir / "workers").glob("*/lock")
    holders = [(lock, holder_of(lock)) for lock in locks]
    return [pid for lock, pid in holders if pid is not None or is_held(lock)]


def any_shown(settings: Settings) -> bool:
    """Return whether the table may have the heartbeat of a worker of this data directory."""
    return any((settings.data_dir / "workers").glob("*/shown"))


def _held(path: Path, *, again: bool) -> Lock:
    """Lock an id, unless its worker runs; wait while a process that is not its worker has it,
    with ``again`` for as long as a dead worker's jobs may take to be released."""
    deadline = monotonic() + (RESTART_S if again else PROBE_S)
    while True:
        try:
            return hold(path, wait_s=0)
        except AlreadyHeld:
            if _is_its_worker(path, holder_of(path)) or monotonic() > deadline:
                raise
        sleep(RETRY_S)


def _is_its_worker(path: Path, holder: int | None) -> bool:
    """Return whether a lock's holder is the worker that noted its process there."""
    try:
        return holder is not None and path.read_text().strip() == str(holder)
    except FileNotFoundError:  # its holder has deleted it since
        return False


def _names(settings: Settings, engine: str) -> list[str]:
    """Host names repeat between machines, so a token made once tells data directories apart."""
    token_file = settings.data_dir / "workers" / ".token"
    if not token_file.exists():
        token_file.parent.mkdir(parents=True, exist_ok=True)
        token_file.write_text(secrets.token_hex(3))
    prefix = f"{gethostname()}-{token_file.read_text()}-{crc32(engine.encode()):08x}"
    return [f"{prefix}-{slot}" for slot in range(SLOTS)]
