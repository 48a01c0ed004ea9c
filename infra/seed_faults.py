"""Puts faults into the template, one at a time, and shows which of our checks finds each.

usage: python -m infra.seed_faults [--all]        exit code 1 if more than two are missed

Our own rules come first, since they cost nothing. cfn-lint and checkov need two seconds for each
template, so they are asked only about what nobody has found yet, or with ``--all`` about all.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.checks.document import Document
from infra.checks.rules import faults
from infra.checks.seeds import FAULTS, Fault
from infra.checks.tools import ROOT, Tools

MAY_BE_MISSED = 2

Found = Mapping[str, Mapping[str, Sequence[str]]]  # by check, by template


def find(templates: Mapping[str, str], tools: Tools, *, ask_all: bool) -> Found:
    """Return the findings of SAM, our rules, cfn-lint and checkov for each template."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        paths = [folder / f"{name}.yaml" for name in templates]
        for path in paths:
            path.write_text(templates[path.stem], encoding="utf-8")
        refused = tools.expand(paths, folder)
        expanded = sorted(folder.glob("*.json"))
        found = {path.stem: ours(path) for path in expanded}
        asked = [path for path in expanded if ask_all or not found[path.stem]]
        with ThreadPoolExecutor() as beside:
            linted = beside.submit(tools.lint, asked)
            scanned = beside.submit(tools.scan, asked)
            return {
                "SAM": refused,
                "rules": found,
                "cfn-lint": linted.result(),
                "checkov": scanned.result(),
            }


def ours(expanded: Path) -> Sequence[str]:
    return [f"{rule}: {fault}" for rule, fault in faults(Document.read(expanded))]


def table_of(seeded: Mapping[str, Fault], found: Found) -> tuple[Table, int]:
    """The table, and how many faults nobody finds."""
    table = Table("fault", *found, "first finding")
    missed = 0
    for name, fault in seeded.items():
        findings = [each for by_template in found.values() for each in by_template.get(name, ())]
        marks = ["✔" if by_template.get(name) else "" for by_template in found.values()]
        missed += not findings
        told = (findings[0] if findings else "nobody")[:70]
        table.add_row(f"{fault.kind}: {fault.name}", *marks, told)
    return table, missed


def main(arguments: Sequence[str]) -> int:
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    seeded = {f"f{number:02}": fault for number, fault in enumerate(FAULTS)}
    templates = {name: fault.put_into(template) for name, fault in seeded.items()}
    ask_all = "--all" in arguments
    found = find({"clean": template, **templates}, Tools(), ask_all=ask_all)
    noise = [each for by_template in found.values() for each in by_template.get("clean", ())]
    console = Console(width=150)
    if noise:
        console.print("The template itself is at fault:", *noise, sep="\n")
        return 1
    table, missed = table_of(seeded, found)
    console.print(table)
    console.print(f"{len(seeded) - missed} of {len(seeded)} faults found")
    return int(missed > MAY_BE_MISSED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
