"""The processes of this machine, identified well enough never to end a wrong one."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
ENDED = frozenset({psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    pid: int
    group: int
    started: str  # with the pid, it tells a process from all others, also after a restart


def process_of(pid: int) -> ProcessEntry | None:
    """Return a running process; None if there is none with that pid."""
    with suppress(psutil.Error, OSError):
        return _entry(psutil.Process(pid))
    return None


def processes() -> Iterator[ProcessEntry]:
    """Yield the running processes."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # it has ended meanwhile
            entry = _entry(process)
            if entry is not None:
                yield entry


def _entry(process: psutil.Process) -> ProcessEntry | None:
    if process.status() in ENDED:
        return None
    # Counted from the machine's start: the clock may be set while the process runs.
    since_boot_s = process.create_time() - psutil.boot_time()
    return ProcessEntry(process.pid, os.getpgid(process.pid), f"{_boot()}/{since_boot_s:.2f}")


@cache
def _boot() -> str:
    """Return what tells this run of the machine from others: many start alike."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:  # not Linux
        return f"{psutil.boot_time():.0f}"
