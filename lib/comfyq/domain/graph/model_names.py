"""Completing model names that lack their extension or folder."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

# what ComfyUI's folder_paths.py takes for a model file
EXTENSIONS = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".gguf")

DEFAULT_EXTENSION = ".safetensors"


def existing_name(name: str, names: Sequence[str]) -> str | None:
    """Return the one of ``names`` that matches: exactly, else with an extension, else in a folder.

    A worker on Windows separates folders by backslashes. None: there is none, or several.
    """
    wanted = _path(name)
    exact, paths, files = _indexes(tuple(names))
    if name in exact:
        return name
    in_folders = () if "/" in wanted else files  # other folders may have others of this name
    indexes: Sequence[Index] = (*paths, *in_folders)
    return next((index[wanted] for index in indexes if wanted in index), None)


Index = Mapping[str, str | None]  # names by a short form; None: several have it


@lru_cache(maxsize=64)  # a request may name a hundred models of one list
def _indexes(
    names: tuple[str, ...],
) -> tuple[frozenset[str], tuple[Index, Index], tuple[Index, Index]]:
    """Return all names, and indexes by path and by file, each with and without extension."""
    paths = [_path(name) for name in names]
    files = [_file(name) for name in names]
    return (
        frozenset(names),
        (_index(paths, names), _index(map(without_extension, paths), names)),
        (_index(files, names), _index(map(without_extension, files), names)),
    )


def _index(forms: Iterable[str], names: Sequence[str]) -> Index:
    index: dict[str, str | None] = {}
    for form, name in zip(forms, names, strict=True):
        index[form] = None if form in index else name
    return index


def is_same_path(one: str | None, other: str) -> bool:
    """Return whether two names are the same, whatever separates their folders."""
    return one is not None and _path(one) == _path(other)


def with_extension(name: str) -> str:
    """Add the usual extension to a name without one; used where no list of files is known."""
    return name if name.lower().endswith(EXTENSIONS) else name + DEFAULT_EXTENSION


def without_extension(name: str) -> str:
    """Remove a model file's extension; other dots belong to the name."""
    extension = next((e for e in EXTENSIONS if name.lower().endswith(e)), "")
    return name[: len(name) - len(extension)]


def _path(name: str) -> str:
    return name.strip().replace("\\", "/")


def _file(name: str) -> str:
    return _path(name).rsplit("/", 1)[-1]
