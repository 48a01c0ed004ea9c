"""Puts the documentation site together: `make docs`.

    python -m infra.docs source OUT    copy docs/, write the reference pages from the code
    python -m infra.docs check OUT     look through what zensical has built in OUT/site

OUT gets ``source/``, the pages, and ``zensical.toml``, so that zensical runs inside it. The
reference pages are written at each build and never committed, so they cannot be out of date.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import copy, copytree, rmtree

from infra.docs import api, cli, errors, frames, metrics, parameters, python, settings, stack
from infra.docs.checks import faults_of_navigation, faults_of_pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONFIGURATION = Path(__file__).with_name("zensical.toml")

REFERENCE: Mapping[str, Callable[[], str]] = {
    "api.md": api.page,
    "frames.md": frames.page,
    "cli.md": cli.page,
    "python.md": python.page,
    "settings.md": settings.page,
    "errors.md": errors.page,
    "metrics.md": metrics.page,
    "stack.md": stack.page,
    "parameters.md": parameters.page,
}


def assemble(out: Path) -> None:
    """Make the folder that zensical builds from; what was there before is removed."""
    rmtree(out, ignore_errors=True)
    source = out / "source"
    copytree(DOCS, source)
    copy(CONFIGURATION, out)
    reference = source / "reference"
    reference.mkdir(exist_ok=True)
    for name, page in REFERENCE.items():
        (reference / name).write_text(page(), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case ["source", out]:
            assemble(Path(out))
            wrong = faults_of_navigation(Path(out))
        case ["check", out]:
            wrong = faults_of_pages(Path(out) / "site")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
