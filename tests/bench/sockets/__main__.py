"""``make bench-ws``: what sockets cost, and how soon they are told.

    python -m tests.bench.sockets [--quick] [DOCUMENT.md]

Sockets follow jobs at `comfyq up` before simulators, from a process of their own. The tables are
printed, and written into the part ``bench-ws`` of the document. ``--quick`` tries the measurement
with little of everything; its figures mean nothing.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from infra.marked_part import rewrite
from tests.bench.sockets.following import Case, Figures, measured
from tests.bench.sockets.servers import allow_many_files
from tests.bench.sockets.stalling import Ratio, stalling

WANTED_SOCKETS = 100  # that follow one job, which has four frames a second
WANTED_P50_MS, WANTED_P99_MS = 10, 100
WANTED_RATIO = 1.1  # of the others' p99 beside a stalled client
FOLLOWED = (100, 1), (1_000, 1), (1_000, 1_000)  # sockets, jobs
HEAD = (
    "| sockets | the worker is in | open / shown its job, all (s) | memory a socket (KB)"
    " | frames | delay, p50 / p99 (ms) | jobs/s without / with them |\n"
    "|---|---|---|---|---|---|---|"
)


def cases(*, quick: bool) -> Iterator[Case]:
    for sockets, jobs in FOLLOWED:
        share = 10 if quick else 1
        for apart in (False, True):
            yield Case(
                sockets=sockets // share,
                jobs=1 if jobs == 1 else jobs // share,
                apart=apart,
                watch_s=3 if quick else 20,
                burst=20 if quick else 200,
            )


def row(case: Case, figures: Figures) -> str:
    what = "one job" if case.jobs == 1 else f"{case.jobs:,} jobs"
    cells = (
        f"{case.sockets:,} on {what}",
        "a process of its own" if case.apart else "the server's process",
        f"{figures.opened.open_s:.1f} / {figures.opened.shown_s:.1f}",
        f"{figures.kb_each:.0f}",
        f"{len(figures.delays):,}",
        f"{figures.p50_ms:.1f} / {figures.p99_ms:.1f}",
        f"{figures.without:.0f} / {figures.beside:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def stalled_row(ratio: Ratio, *, apart: bool) -> str:
    without, beside = ratio.p99s
    cells = (
        "a process of its own" if apart else "the server's process",
        f"{without:.1f}",
        f"{beside:.1f}",
        f"{beside / without:.2f}",
        f"{sum(each.cut_off for each in ratio.stalled)} of {len(ratio.stalled)}",
    )
    return f"| {' | '.join(cells)} |"


async def tables(*, quick: bool) -> Sequence[str]:
    rows, held = [HEAD], []
    for case in cases(quick=quick):
        figures = await measured(case)
        rows.append(row(case, figures))
        print(rows[-1], file=sys.stderr, flush=True)
        if case.sockets <= WANTED_SOCKETS and case.jobs == 1:
            held += [figures.p50_ms <= WANTED_P50_MS, figures.p99_ms <= WANTED_P99_MS]
    head = (
        f"| {100 // (10 if quick else 1)} sockets on one job, the worker is in | p99 without (ms)"
        " | beside a client that does not read | ratio | clients that were cut off |\n"
        "|---|---|---|---|---|"
    )
    stalled = [head]
    for apart in (False, True):
        ratio = await stalling(
            sockets=10 if quick else 100,
            rounds=1 if quick else 4,
            round_s=18 if quick else 20,
            apart=apart,
        )
        stalled.append(stalled_row(ratio, apart=apart))
        print(stalled[-1], file=sys.stderr, flush=True)
        without, beside = ratio.p99s
        held.append(beside <= without * WANTED_RATIO)
    wanted = (
        f"Wanted with {WANTED_SOCKETS} sockets on one job: p50 <= {WANTED_P50_MS} ms, p99 <="
        f" {WANTED_P99_MS} ms, ratio <= {WANTED_RATIO}. {sum(held)} of these {len(held)} are held."
    )
    return ["\n".join(rows), "\n".join(stalled), wanted]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sockets")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("documents", nargs="*", type=Path)
    given = parser.parse_args(arguments)
    allow_many_files()
    now = datetime.now(tz=UTC)  # noqa: TID251 - the day of the run
    load, _, _ = os.getloadavg()
    began = perf_counter()
    shown = asyncio.run(tables(quick=given.quick))
    run = (
        f"Run of {now:%Y-%m-%d} on {os.cpu_count()} cores, Python {sys.version.split()[0]}."
        f" The load average was {load:.1f} when it began. `python -m tests.bench.sockets`,"
        f" {perf_counter() - began:.0f} s"
    )
    text = "\n\n".join([*shown, run])
    print(text)
    for document in given.documents:
        rewrite(document, "bench-ws", text)


if __name__ == "__main__":
    main(sys.argv[1:])
