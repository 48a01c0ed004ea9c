"""Completing model names that lack their extension or folder."""

from collections.abc import Sequence

# what ComfyUI's folder_paths.py takes for a model file
EXTENSIONS = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".pkl", ".gguf")

DEFAULT_EXTENSION = ".safetensors"


def existing_name(name: str, names: Sequence[str]) -> str | None:
    """Return the one of ``names`` that matches: exactly, else with an extension, else in a folder.

    A worker on Windows separates folders by backslashes. None: there is none, or several.
    """
    if name in names:
        return name
    wanted = _path(name)
    for part in (_path, _file):
        if part is _file and "/" in wanted:
            return None  # another folder may have another model of this name
        for whole in (part, lambda each, part=part: without_extension(part(each))):
            matches = [each for each in names if whole(each) == wanted]
            if matches:
                return matches[0] if len(matches) == 1 else None
    return None


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
