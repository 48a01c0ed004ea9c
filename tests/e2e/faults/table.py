"""Print the README's table of the fault matrix from what the last runs measured.

python tests/e2e/faults/table.py
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[3] / "out" / "faults"

COLUMNS = (
    ("embedded", "simulator"),
    ("emulator", "simulator"),
    ("embedded", "real"),
)
HEAD = ("fault", "embedded", "emulator", "real ComfyUI", "test")

Measured = dict[str, Any]


def table(results: list[Measured]) -> str:
    """One line a row: seconds from the fault to recovery on each backend, and the test."""
    rows: dict[str, dict[tuple[str, str], Measured]] = defaultdict(dict)
    for each in results:
        rows[each["row"]][each["backend"], each["comfyui"]] = each
    lines = [HEAD, tuple("---" for _ in HEAD)]
    lines += [_line(row, rows[row]) for row in sorted(rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(row: str, measured: dict[tuple[str, str], Measured]) -> tuple[str, ...]:
    seconds = [_seconds(measured.get(column)) for column in COLUMNS]
    test = next(iter(measured.values()))["test"]
    return (row, *seconds, f"`pytest {test}`")


def _seconds(measured: Measured | None) -> str:
    return "" if measured is None else f"{measured['seconds']:.1f} s"


if __name__ == "__main__":
    print(table([json.loads(file.read_text()) for file in sorted(RESULTS.glob("*.json"))]))
