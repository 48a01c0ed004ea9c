"""How often the threads of a process were woken, as Linux counts it."""

import contextlib
from pathlib import Path

FIELD = "voluntary_ctxt_switches:"


def wakes(pid: int) -> int:
    """Return how often threads of a process gave up their core to wait, see proc_pid_status(5)."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            lines = status.read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith(FIELD))
    return total
