"""The environment of a ComfyUI on this machine: its custom nodes, or what its image says."""

import hashlib
import re
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path

from comfyq.domain.environment.description import files_line, node_line

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
CODE = frozenset({".py", ".js", ".json", ".toml", ".txt"})


def described(*, file: Path | None, comfyui_dir: Path | None) -> str | None:
    """Return the text of ``file``, or else a line for each of ComfyUI's custom nodes; None: neither
    is known.

    Raises:
        OSError: it cannot be read.
    """
    if file is not None:
        return file.read_text(encoding="utf-8", errors="replace")
    if comfyui_dir is None:
        return None
    nodes = comfyui_dir / "custom_nodes"
    found = sorted(nodes.iterdir()) if nodes.is_dir() else []
    lines = [_line(each) for each in found if _is_loaded(each)]
    return "".join(f"{line}\n" for line in sorted(lines))


def _is_loaded(path: Path) -> bool:
    """Return whether ComfyUI loads it, by the names that it leaves out."""
    if path.name.startswith((".", "__")) or path.name.endswith(".disabled"):
        return False
    return path.is_dir() or path.suffix == ".py"


def _line(path: Path) -> str:
    commit, repository = _commit(path / ".git"), _origin(path / ".git/config")
    if commit is not None and repository is not None:
        return node_line(repository, commit)
    return files_line(path.name, _code_sha256(path))


def _commit(folder: Path) -> str | None:
    """Return the commit that a repository has checked out; None: it is none."""
    head = _text(folder / "HEAD")
    if not head.startswith("ref: "):
        return head if COMMIT.fullmatch(head) else None
    name = head.removeprefix("ref: ")
    direct = _text(folder / name)
    if COMMIT.fullmatch(direct):
        return direct
    packed = (line.partition(" ") for line in _text(folder / "packed-refs").splitlines())
    return next((commit for commit, _, ref in packed if ref == name), None)


def _origin(config: Path) -> str | None:
    parser = ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    try:
        parser.read_string("\n".join(line.strip() for line in _text(config).splitlines()))
    except ConfigError:
        return None
    return parser.get('remote "origin"', "url", fallback=None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _code_sha256(path: Path) -> str:
    """Return a hash of names and bytes of the files of code; models and pictures do not count."""
    files = [path] if path.is_file() else [e for e in path.rglob("*") if e.suffix in CODE]
    digest = hashlib.sha256()
    for each in sorted(files):
        if each.is_file():
            name = each.relative_to(path.parent).as_posix()
            digest.update(f"{name}\0{each.stat().st_size}\0".encode(errors="replace"))
            digest.update(each.read_bytes())
    return digest.hexdigest()
