"""Second names of model files: links of ours, and files of others that the store knows too."""

import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

from comfyq.adapters.filesystem.durable import make_folder
from comfyq.adapters.filesystem.models.part import adoption_of


def put_link(target: Path, place: Path) -> None:
    """Make ``target`` a link to ``place``, whatever it was before."""
    make_folder(str(target.parent))
    link = os.path.relpath(real_name(str(place)), target.parent.resolve())
    temporary = target.with_name(f".{os.urandom(8).hex()}.link")
    os.symlink(link, temporary)
    os.replace(temporary, target)


def put_name(place: Path, file: Path) -> None:
    """Make ``place`` a second name of a file, which stays as it is."""
    make_folder(str(place.parent))
    temporary = place.with_name(f".{os.urandom(8).hex()}.link")
    try:
        os.link(file.resolve(), temporary)
    except OSError:  # another disk, a file system without such links, a file of somebody else
        put_link(place, file)
    else:
        os.replace(temporary, place)


def is_unchanged(place: Path) -> bool:
    """Return whether a file of the store is as it was: somebody else's may have been changed."""
    try:
        return adoption_of(place).read_bytes() == changed_at(place)
    except OSError:
        return True  # it is our own


def changed_at(file: Path) -> bytes:
    """Return when a file was changed last; nothing if there is none."""
    try:
        return str(file.stat().st_mtime_ns).encode()
    except OSError:
        return b""


def real_name(path: str) -> str:
    """Return the path without links in its folders; what it names may be one."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def next_name(link: str) -> str:
    """Return what a link leads to, which may be another link: who made that one is unknown."""
    return real_name(os.path.join(os.path.realpath(os.path.dirname(link)), os.readlink(link)))


def links_below(root: Path) -> Iterator[str]:
    """Yield the symbolic links to files below a folder, also in folders that are such links."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        seen.add(os.path.realpath(folder))
        folders[:] = [
            each for each in folders if os.path.realpath(os.path.join(folder, each)) not in seen
        ]
        paths = (os.path.join(folder, name) for name in names)
        yield from [path for path in paths if os.path.islink(path)]


def is_same(target: Path, place: Path) -> bool:
    """Return whether both are names of one file."""
    try:
        return target.samefile(place)
    except OSError:
        return False


def own_size(file: Path) -> int:
    """Return how many bytes are gone with this name of a file: none if it has another name."""
    try:
        at = file.lstat()
    except OSError:
        return 0
    return at.st_size if S_ISREG(at.st_mode) and at.st_nlink == 1 else 0
