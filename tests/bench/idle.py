"""What does comfyq cost while there is nothing to do? ``python -m tests.bench.idle [WORKERS]``

CPU time of `comfyq up` with its own worker, and then beside workers in processes of their own.
"""

import sys
import time

from tests.bench.cpu import cpu_s
from tests.bench.stack import one_process, simulated, stack

SETTLE_S = 8.0  # after the start: catalogues are read and published
MEASURE_S = 60.0


def shares(*pids: int) -> list[float]:
    """Return the share of a core, in percent, that each process takes."""
    time.sleep(SETTLE_S)
    before, began = [cpu_s(pid) for pid in pids], time.monotonic()
    time.sleep(MEASURE_S)
    passed = time.monotonic() - began
    return [(cpu_s(pid) - used) / passed * 100 for pid, used in zip(pids, before, strict=True)]


def main(workers: int) -> None:
    print("| idle | % of a core |\n|---|---|")
    with simulated() as simulator:
        with one_process(simulator.url) as up:
            [share] = shares(up.pid)
        print(f"| `comfyq up` with one worker in it | {share:.2f} |", flush=True)
        with stack([simulator.url], workers=workers) as servers:
            share, *others = shares(servers.up.pid, *(each.pid for each in servers.workers))
        print(f"| `comfyq up` beside {workers} workers | {share:.2f} |")
        print(f"| each of these workers, a process | {sum(others) / len(others):.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
