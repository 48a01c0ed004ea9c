"""The file in which a running ``comfyq up`` tells other processes how to reach it."""

import json
from collections.abc import Mapping
from pathlib import Path

FILE = "up.json"


class NotRunning(Exception):
    """No ``comfyq up`` has written its settings there."""


def write_runtime(data_dir: Path, exports: Mapping[str, str]) -> None:
    """Keep the environment with which another process joins."""
    file = data_dir / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)  # it may name secrets
    fresh.write_text(json.dumps(exports, indent=2))
    fresh.replace(file)


def read_runtime(data_dir: Path) -> Mapping[str, str]:
    """Raises NotRunning."""
    try:
        exports: Mapping[str, str] = json.loads((data_dir / FILE).read_text())
    except FileNotFoundError:
        raise NotRunning(
            f"no `comfyq up` runs with the data directory {data_dir}; start one, or name its "
            "directory with --data-dir"
        ) from None
    return exports


def remove_runtime(data_dir: Path) -> None:
    (data_dir / FILE).unlink(missing_ok=True)
