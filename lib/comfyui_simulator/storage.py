"""The folders output/, input/ and temp/, and the names of files in them."""

import hashlib
import itertools
import os
import random
import string
import time
from dataclasses import dataclass
from pathlib import Path

from comfyui_simulator.messages import JsonObject

TEMP_PREFIX_LETTERS = 5


class NotAllowed(Exception):
    """A name leads out of its folder, or no such folder exists; `status` is ComfyUI's answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class SavePlan:
    """The place that a node saves to: a folder, a name and the first free number."""

    folder: Path
    name: str
    counter: int
    subfolder: str
    type: str

    def path(self, index: int, suffix: str) -> Path:
        """The file of one picture of a batch, such as `name_00001_.png`."""
        return self.folder / f"{self.name}_{self.counter + index:05}_{suffix}"

    def shown(self, index: int, suffix: str) -> JsonObject:
        """Return the file as the history describes it to clients."""
        name = self.path(index, suffix).name
        return {"filename": name, "subfolder": self.subfolder, "type": self.type}


class Storage:
    """Files under one root."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._counters: dict[tuple[Path, str], int] = {}
        self._digests: dict[tuple[Path, int, int], str] = {}
        # ComfyUI marks the previews of each process with letters of their own.
        self.temp_mark = "".join(random.choices(string.ascii_lowercase, k=TEMP_PREFIX_LETTERS))
        for type_ in ("output", "input", "temp"):
            (self._root / type_).mkdir(parents=True, exist_ok=True)

    def folder(self, type_: str) -> Path:
        """The folder of output, input or temp. Raises NotAllowed."""
        if type_ not in ("output", "input", "temp"):
            raise NotAllowed(400, f"no such folder: {type_}")
        return self._root / type_

    def plan(self, prefix: str, *, size: tuple[int, int], count: int, type_: str) -> SavePlan:
        """Reserve `count` file names. Raises ValueError if the prefix leads out of the folder."""
        clean = os.path.normpath(_filled(prefix, size))
        subfolder, name = os.path.split(clean)
        try:
            folder = self._inside(self.folder(type_), subfolder)
        except NotAllowed as refusal:
            message = "Saving image outside the output folder is not allowed."
            raise ValueError(message) from refusal
        if (folder, name) not in self._counters:
            folder.mkdir(parents=True, exist_ok=True)
            self._counters[folder, name] = _highest_counter(folder, name)
        first = self._counters[folder, name] + 1
        self._counters[folder, name] += count
        return SavePlan(folder, name, first, subfolder, type_)

    def find(self, filename: str, subfolder: str = "", type_: str = "output") -> Path | None:
        """A file that a client asks for, or None. Raises NotAllowed.

        The name may carry its folder: `name.png [input]`.
        """
        filename, type_ = _annotated(filename, type_)
        if not filename or filename.startswith("/") or ".." in filename:
            raise NotAllowed(400, "not a file name")
        path = self._inside(self.folder(type_), subfolder) / os.path.basename(filename)
        return path if path.is_file() else None

    def input_file(self, name: str) -> Path | None:
        """A file that a loader names, with its subfolder: `jobs/42/name.png`."""
        name, type_ = _annotated(name, "input")
        try:
            path = self._inside(self.folder(type_), name)
        except NotAllowed:
            return None
        return path if path.is_file() else None

    def content_digest(self, path: Path) -> str:
        """The hash of a file's bytes, remembered until it is written again."""
        written = path.stat()
        version = (path, written.st_mtime_ns, written.st_size)
        if version not in self._digests:
            self._digests[version] = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        return self._digests[version]

    def inputs(self, *suffixes: str) -> list[str]:
        """Uploaded files directly in input/, by suffix."""
        names = (path.name for path in self.folder("input").iterdir() if path.is_file())
        return sorted(name for name in names if name.lower().endswith(suffixes))

    def upload(
        self, name: str, content: bytes, *, subfolder: str, type_: str, overwrite: bool
    ) -> str:
        """Store a file; the name under which it is kept. Raises NotAllowed.

        The same bytes keep their name; other bytes under a taken name become `name (1).png`.
        """
        folder = self._inside(self.folder(type_), subfolder)
        path = self._inside(folder, name)
        stem, suffix = os.path.splitext(name)
        for number in itertools.count(1):
            if overwrite or not path.exists() or _holds(path, content):
                break
            path = folder / f"{stem} ({number}){suffix}"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path.name

    def lose(self, shown: JsonObject) -> None:
        """Delete one saved file."""
        folder = self.folder(shown["type"]) / shown["subfolder"]
        (folder / shown["filename"]).unlink(missing_ok=True)

    def lose_outputs(self) -> None:
        """Delete every saved file."""
        for path in self.folder("output").rglob("*"):
            if path.is_file():
                path.unlink()

    def _inside(self, folder: Path, relative: str) -> Path:
        path = Path(os.path.normpath(folder / relative))
        if not path.is_relative_to(folder):
            raise NotAllowed(403, f"outside the folder: {relative}")
        return path


def _filled(prefix: str, size: tuple[int, int]) -> str:
    # Only ComfyUI's own marks; those of its frontend, such as %date:...%, stay as they are.
    if "%" not in prefix:
        return prefix
    width, height = size
    marks = {"%width%": str(width), "%height%": str(height)}
    now = time.localtime()
    for mark, code in zip(
        ("year", "month", "day", "hour", "minute", "second"), "YmdHMS", strict=True
    ):
        marks[f"%{mark}%"] = time.strftime(f"%{code}", now)
    for mark, value in marks.items():
        prefix = prefix.replace(mark, value)
    return prefix


def _highest_counter(folder: Path, name: str) -> int:
    prefix = f"{name}_"
    rests = (file.removeprefix(prefix) for file in os.listdir(folder) if file.startswith(prefix))
    digits = (rest.split("_")[0].split(".")[0] for rest in rests)
    return max((int(number) for number in digits if number.isdigit()), default=0)


def _annotated(name: str, type_: str) -> tuple[str, str]:
    for known in ("output", "input", "temp"):
        if name.endswith(f" [{known}]"):
            return name.removesuffix(f" [{known}]"), known
    return name, type_


def _holds(path: Path, content: bytes) -> bool:
    return path.stat().st_size == len(content) and path.read_bytes() == content
