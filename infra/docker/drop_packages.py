"""Deletes distributions that ``pip install --target`` put into a folder and nobody will import.

usage: drop_packages.py FOLDER NAME...
"""

import shutil
import sys
from importlib.metadata import Distribution
from pathlib import Path


def drop(folder: Path, names: set[str]) -> None:
    """Raises LookupError for a name that is not installed there."""
    installed = {_canonical(each.metadata["Name"]): each for each in _distributions(folder)}
    missing = {name for name in names if _canonical(name) not in installed}
    if missing:
        raise LookupError(f"not installed: {sorted(missing)}")
    for name in names:
        _delete(installed[_canonical(name)], folder)


def _distributions(folder: Path) -> list[Distribution]:
    return [Distribution.at(info) for info in folder.glob("*.dist-info")]


def _delete(distribution: Distribution, folder: Path) -> None:
    """Its files, and then the folders that only it had."""
    root = folder.resolve()
    parents = set[Path]()
    for file in distribution.files or []:
        path = (folder / str(file)).resolve()
        if path.is_relative_to(root):  # scripts lie elsewhere
            path.unlink(missing_ok=True)
            parents |= {parent for parent in path.parents if parent.is_relative_to(root)}
    for cache in [parent / "__pycache__" for parent in parents - {root}]:
        shutil.rmtree(cache, ignore_errors=True)
    for parent in sorted(parents - {root}, key=lambda path: len(path.parts), reverse=True):
        if parent.exists() and not any(parent.iterdir()):
            parent.rmdir()


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    drop(Path(sys.argv[1]), set(sys.argv[2:]))
