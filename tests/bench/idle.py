"""What does comfyq cost while there is nothing to do? ``python -m tests.bench.idle [WORKERS]``

CPU time and wake-ups of `comfyq up` with its own worker, and then beside workers in processes of
their own.
"""

import sys
import time
from dataclasses import dataclass

from tests.bench.cpu import cpu_s
from tests.bench.stack import one_process, simulated, stack
from tests.bench.wakes import wakes

SETTLE_S = 8.0  # after the start: catalogues are read and published
MEASURE_S = 60.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a process each second."""

    share: float  # of a core, in percent
    wakes: float


def costs(*pids: int) -> list[Cost]:
    """Measure the processes side by side."""
    time.sleep(SETTLE_S)
    before, began = [(cpu_s(pid), wakes(pid)) for pid in pids], time.monotonic()
    time.sleep(MEASURE_S)
    passed = time.monotonic() - began
    return [
        Cost((cpu_s(pid) - used) / passed * 100, (wakes(pid) - woken) / passed)
        for pid, (used, woken) in zip(pids, before, strict=True)
    ]


def show(what: str, *each: Cost) -> None:
    """Print one line with the means."""
    share = sum(cost.share for cost in each) / len(each)
    woken = sum(cost.wakes for cost in each) / len(each)
    print(f"| {what} | {share:.2f} | {woken:.1f} |", flush=True)


def main(workers: int) -> None:
    print("| idle | % of a core | wake-ups a second |\n|---|---|---|")
    with simulated() as simulator:
        with one_process(simulator.url) as up:
            show("`comfyq up` with one worker in it", *costs(up.pid))
        with stack([simulator.url], workers=workers) as servers:
            cost, *others = costs(servers.up.pid, *(each.pid for each in servers.workers))
        show(f"`comfyq up` beside {workers} workers", cost)
        show("each of these workers, a process", *others)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
