"""The processes of this machine, identified well enough never to end a wrong one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")
ENDED = "ZX"  # states of what is gone but for its entry in the table
PS_WORDS_BEFORE_START = 3


@dataclass(frozen=True, slots=True)
class Entry:
    pid: int
    group: int
    started: str  # with the pid, it tells a process from all others since the machine started


def processes() -> Iterator[Entry]:
    """Yield the running processes."""
    return _listed_by_kernel() if PROC.joinpath("self/stat").exists() else _listed_by_ps()


def _listed_by_kernel() -> Iterator[Entry]:
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                yield from _entry((folder / "stat").read_text())


def _entry(stat: str) -> Iterator[Entry]:
    """Parse a stat file, see proc(5); the command, in brackets, may contain anything."""
    pid = stat.split(" ", 1)[0]
    state, _, group, *rest = stat.rpartition(")")[2].split()
    if state not in ENDED:
        yield Entry(int(pid), int(group), started=f"{_boot_id()}/{rest[16]}")


@cache
def _boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _listed_by_ps() -> Iterator[Entry]:
    listed = subprocess.run(
        ["ps", "-axo", "pid=,pgid=,stat=,lstart="],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )
    for line in listed.stdout.splitlines():
        pid, group, state, started = line.split(None, PS_WORDS_BEFORE_START)
        if state[0] not in ENDED:
            yield Entry(int(pid), int(group), started)
