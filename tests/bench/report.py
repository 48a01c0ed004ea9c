"""``make bench``: every measurement, one after the other, and the document that shows them.

    COMFYQ_TEST_COMFYUI_URL=http://127.0.0.1:8188 python -m tests.bench.report [DOCUMENT.md]

Each measurement is a module that prints Markdown. What they print is shown as it comes and, when
all have passed, written into the part ``bench`` of the document. The exit code is that of the
first that fails; then the document stays as it was.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from infra.marked_part import rewrite

MEASUREMENTS = {  # heading -> module
    "Beside ComfyUI itself and a proxy": "tests.bench",
    "Model affinity": "tests.bench.affinity",
    "One tenant behind another's flood": "tests.bench.fairness",
    "Submitting while jobs wait": "tests.bench.backlog",
    "What keys and limits cost": "tests.bench.keys",
    "A worker's memory over many jobs": "tests.bench.memory",
    "A worker's memory while a large result passes": "tests.bench.large",
    "With nothing to do": "tests.bench.idle",
    "Batches": "tests.bench.batch",
    "Validation": "tests.bench.admission",
}


def main(*documents: str) -> int:
    now = datetime.now(tz=UTC)  # noqa: TID251 - the day of the run
    load, _, _ = os.getloadavg()
    parts = [
        f"Run of {now:%Y-%m-%d} on {os.cpu_count()} cores, Python {sys.version.split()[0]}."
        f" The load average was {load:.1f} when it began."
    ]
    for heading, module in MEASUREMENTS.items():
        print(f"\n## {heading}\n", flush=True)
        began = perf_counter()
        try:
            shown = _run(module)
        except subprocess.CalledProcessError as failed:
            return failed.returncode
        taken = f"`python -m {module}`, {perf_counter() - began:.0f} s"
        print(f"\n{taken}", flush=True)
        parts.append(f"## {heading}\n\n{shown.strip()}\n\n{taken}")
    for document in documents:
        rewrite(Path(document), "bench", "\n\n".join(parts))
    return 0


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
    sys.exit(main(*sys.argv[1:]))
