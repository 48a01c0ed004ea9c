"""The table of the fault matrix, for docs/faults.md, from what the last runs measured.

    python -m tests.e2e.faults.table [FILE]

prints it, or writes it into FILE between ``<!-- faults -->`` and ``<!-- /faults -->``.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from infra.marked_part import rewrite

RESULTS = Path(__file__).parents[3] / "out" / "faults"

COLUMNS = (
    ("embedded", "simulator"),
    ("emulator", "simulator"),
    ("embedded", "real"),
    ("emulator", "real"),
)
HEAD = ("fault", "embedded", "emulator", "embedded ®", "emulator ®", "`pytest tests/e2e/faults -k`")

Measured = dict[str, Any]


def table(results: list[Measured]) -> str:
    """One line a row: seconds from the fault to recovery on each backend, and its test."""
    rows: dict[tuple[str, str], dict[tuple[str, str], Measured]] = defaultdict(dict)
    for each in results:
        rows[each["test"], each["row"]][each["backend"], each["comfyui"]] = each
    lines = [HEAD, tuple("---" for _ in HEAD)]
    lines += [_line(test, row, rows[test, row]) for test, row in sorted(rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(test: str, row: str, measured: dict[tuple[str, str], Measured]) -> tuple[str, ...]:
    seconds = [_seconds(measured.get(column)) for column in COLUMNS]
    return (row, *seconds, f"`{test.rpartition('::')[2]}`")


def _seconds(measured: Measured | None) -> str:
    return "" if measured is None else f"{measured['seconds']:.1f} s"


def main(*files: str) -> None:
    drawn = table([json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))])
    for file in files:
        rewrite(Path(file), "faults", drawn)
    if not files:
        print(drawn)


if __name__ == "__main__":
    main(*sys.argv[1:])
