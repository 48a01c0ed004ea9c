"""``make bench-scale``: what very many jobs cost, which have ended, wait, or are due.

    python -m tests.bench.scale [--quick] [DOCUMENT.md]

Every store is that of a `comfyq up` before a simulator; those of many jobs are filled with copies
of eight. The tables are printed, and written into the part ``bench-scale`` of the document.
``--quick`` tries the measurement with little of everything; its figures mean nothing.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from infra.marked_part import rewrite
from tests.bench.idle import costs
from tests.bench.scale.due import due
from tests.bench.scale.history import history
from tests.bench.scale.stores import Scene
from tests.bench.scale.tables import Row, table
from tests.bench.scale.waiting import waiting
from tests.bench.stack import simulated, stack, workflows_in

FEW = 10_000  # more than are done while they are measured
RETENTION_S = 20  # of jobs that are due when they are served


@dataclass(frozen=True, slots=True)
class Sizes:
    ended: Sequence[int]
    waiting: int
    due: int
    workers: Sequence[int]
    idle: Sequence[int]


FULL = Sizes((0, 100_000, 1_000_000), 100_000, 100_000, (1, 4, 32), (0, 8, 24))
QUICK = Sizes((0, 1_000, 2_000), 11_000, 2_000, (1, 2), (0, 2))


@contextmanager
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory() as folder, simulated() as simulator:
        environment = {
            "COMFYQ_WORKFLOWS_DIR": str(workflows_in(Path(folder))),
            "COMFYQ_WAITING_JOBS": str(10**7),
        }
        yield Scene(Path(folder), simulator.url, environment)


def ended_jobs(sizes: Sizes) -> str:
    with scene() as made:
        stores = {f"{count:,}": (made.store(f"{count}", count), count) for count in sizes.ended}
        return table(["ended jobs", *stores], history(made, stores))


def waiting_jobs(sizes: Sizes) -> str:
    with scene() as made:
        few, many = (made.store(f"{n}", n, ended=False) for n in (FEW, sizes.waiting))
        rows = waiting(made, few, many, sizes.workers)
    return table(["waiting jobs", f"{FEW:,}", f"{sizes.waiting:,}"], rows)


def due_jobs(sizes: Sizes) -> str:
    with scene() as made:
        short = {"COMFYQ_RETENTION_S": str(RETENTION_S)}
        few, many = (made.store(f"{n}", n, env=short) for n in (0, sizes.due))
        time.sleep(RETENTION_S)
        rows = due(made, few, many)
    return table(["jobs due for their deletion", "8", f"{sizes.due:,}"], rows)


def idle_workers(sizes: Sizes) -> str:
    ups, workers = [], []
    with simulated() as simulator:
        for count in sizes.idle:
            with stack([simulator.url], workers=count) as servers:
                up, *others = costs(servers.up.pid, *(each.pid for each in servers.workers))
            ups.append(up)
            shares = [each.share for each in others]
            workers.append(sum(shares) / len(shares) if shares else float("nan"))
    return table(
        ["idle workers, a process each", *map(str, sizes.idle)],
        [
            Row("`up`, % of a core", [each.share for each in ups], 2),
            Row("`up`, wake-ups a second", [each.wakes for each in ups], 1),
            Row("a worker, % of a core", workers, 2, ratio=False),
        ],
    )


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("documents", nargs="*", type=Path)
    given = parser.parse_args(arguments)
    now = datetime.now(tz=UTC)  # noqa: TID251 - the day of the run
    load, _, _ = os.getloadavg()
    began = perf_counter()
    shown = []
    for measure in (ended_jobs, waiting_jobs, due_jobs, idle_workers):
        shown.append(measure(QUICK if given.quick else FULL))
        print(f"{shown[-1]}\n", flush=True)
    run = (
        f"Run of {now:%Y-%m-%d} on {os.cpu_count()} cores, Python {sys.version.split()[0]}."
        f" The load average was {load:.1f} when it began. `python -m tests.bench.scale`,"
        f" {perf_counter() - began:.0f} s"
    )
    print(run)
    for document in given.documents:
        rewrite(document, "bench-scale", "\n\n".join([*shown, run]))


if __name__ == "__main__":
    main(sys.argv[1:])
