"""The CPU time that processes have used, as Linux counts it."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")

# Positions after a program's name, see proc_pid_stat(5).
PARENT = 1
OWN_TIMES = slice(11, 13)  # of user and system
TIMES = slice(11, 15)  # with those of children that it waited for


def cpu_s(pid: int) -> float:
    """Return the seconds of a process and of all that descend from it, ended ones included."""
    fields = _fields()
    family, grown = {pid}, True
    while grown:
        children = {each for each, stat in fields.items() if int(stat[PARENT]) in family}
        grown = not children <= family
        family |= children
    return sum(sum(map(int, fields[each][TIMES])) for each in family) / TICKS_PER_S


def thread_times(pid: int) -> Mapping[int, float]:
    """Return the seconds of each thread that a process has, by the number that Linux gives it."""
    return {
        int(folder.name): sum(map(int, _stat(folder)[OWN_TIMES])) / TICKS_PER_S
        for folder in Path(f"/proc/{pid}/task").iterdir()
    }


def _fields() -> Mapping[int, Sequence[str]]:
    """Return what the kernel says of each process, without its name: that may hold anything."""
    fields = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            fields[int(folder.name)] = _stat(folder)
    return fields


def _stat(folder: Path) -> Sequence[str]:
    return (folder / "stat").read_text().rpartition(")")[2].split()
