"""``make bench``: every measurement, one after the other, and the document that shows them.

    COMFYQ_TEST_COMFYUI_URL=http://127.0.0.1:8188 python -m tests.bench.report [DOCUMENT.md]
        [--only MODULE]...

Each measurement is a module that prints Markdown. What they print is shown as it comes and, when
one has passed, written into the part of the document that is named after its module, with when and
beside which load it ran. ``--only``, which may be repeated, leaves out the others: their parts stay
as they are. The first that fails ends the run, and its exit code is the run's.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from infra.marked_part import rewrite

BESIDE = "tests.bench"  # of the others each name is one of its modules
MEASUREMENTS = (
    BESIDE,
    "tests.bench.side_by_side",
    "tests.bench.affinity",
    "tests.bench.fairness",
    "tests.bench.backlog",
    "tests.bench.keys",
    "tests.bench.memory",
    "tests.bench.large",
    "tests.bench.idle",
    "tests.bench.batch",
    "tests.bench.admission",
)


def main(document: Path | None, modules: Sequence[str]) -> int:
    for module in modules:
        print(f"\n# {module}\n", flush=True)
        load, _, _ = os.getloadavg()
        began = perf_counter()
        try:
            shown = _run(module)
        except subprocess.CalledProcessError as failed:
            return failed.returncode
        taken = f"`python -m {module}`, {perf_counter() - began:.0f} s {_circumstances(load)}"
        print(f"\n{taken}", flush=True)
        if document:
            rewrite(document, module, f"{shown.strip()}\n\n{taken}")
    return 0


def _circumstances(load: float) -> str:
    now = datetime.now(tz=UTC)  # noqa: TID251 - the day of the run
    return (
        f"on {now:%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]};"
        f" the load average was {load:.1f} when it began"
    )


def _run(module: str) -> str:
    """Run it, showing and returning its output; raises CalledProcessError."""
    command = [sys.executable, "-m", module]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return "".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("document", nargs="?", type=Path)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, metavar="MODULE")
    told = parser.parse_args()
    sys.exit(main(told.document, told.only or MEASUREMENTS))
