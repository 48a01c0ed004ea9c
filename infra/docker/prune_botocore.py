"""Leaves of botocore only what the named services need: from some 25 MB to under 1 MB.

usage: prune_botocore.py SITE_PACKAGES SERVICE...

Descriptions lose their documentation, and their compression, which costs time at every start.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = "service-2.json.gz"
EXAMPLES = "examples-1.json*"


def prune(site_packages: Path, services: set[str]) -> None:
    """Raises FileNotFoundError where a service has no description."""
    data = site_packages / "botocore" / "data"
    missing = services - {folder.name for folder in data.iterdir()}
    if missing:
        raise FileNotFoundError(f"botocore knows no {sorted(missing)}")
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)
    for examples in list(data.rglob(EXAMPLES)):
        examples.unlink()
    for packed in list(data.rglob(DESCRIPTION)):
        _unpack(packed)


def _unpack(packed: Path) -> None:
    description = json.loads(gzip.decompress(packed.read_bytes()))
    text = json.dumps(_undocumented(description), separators=(",", ":"))
    packed.with_suffix("").write_text(text, encoding="utf-8")
    packed.unlink()


def _undocumented(value: Any) -> Any:
    """A member of some structures is called documentation as well: that is no string."""
    match value:
        case dict():
            return {
                name: _undocumented(part)
                for name, part in value.items()
                if name != "documentation" or not isinstance(part, str)
            }
        case list():
            return [_undocumented(part) for part in value]
        case _:
            return value


if __name__ == "__main__":
    prune(Path(sys.argv[1]), set(sys.argv[2:]))
