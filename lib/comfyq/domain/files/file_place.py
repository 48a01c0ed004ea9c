"""The place of a file in one of ComfyUI's folders, as its API names it."""

import re
from dataclasses import dataclass

from comfyq.domain.files.asset import name_of

INPUT, FOLDERS = "input", frozenset({"input", "output", "temp"})
MAX_SUBFOLDER_CHARS = 200
ANNOTATED = re.compile(r"\s*\[(input|output|temp)\]\s*$")


class BadPlace(Exception):
    """The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class FilePlace:
    folder: str  # one of FOLDERS
    subfolder: str  # empty, or parts with slashes between them
    name: str

    @property
    def text(self) -> str:
        """Return the place as one text, no two places the same."""
        below = f"{self.subfolder}/{self.name}" if self.subfolder else self.name
        return f"{self.folder}/{below}"

    def numbered(self, number: int) -> "FilePlace":
        """Return the place beside it that ComfyUI takes for another file of the same name."""
        stem, dot, suffix = self.name.rpartition(".")
        name = f"{stem} ({number}){dot}{suffix}" if stem else f"{self.name} ({number})"
        return FilePlace(self.folder, self.subfolder, name)


def file_place(folder: str, subfolder: str, name: str) -> FilePlace:
    """Return a place; raises BadPlace where it would be in no folder of ComfyUI's."""
    if folder not in FOLDERS:
        raise BadPlace(f"type: {folder[:40]!r} is none of input, output and temp")
    if len(subfolder) > MAX_SUBFOLDER_CHARS:
        raise BadPlace(f"subfolder: has over {MAX_SUBFOLDER_CHARS} characters")
    if subfolder.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", subfolder):
        raise BadPlace("subfolder: is an absolute path; name one below the folder")
    parts = [part for part in re.split(r"[/\\]", subfolder) if part not in ("", ".")]
    if ".." in parts:
        raise BadPlace("subfolder: leads out of the folder; name one below it, without `..`")
    if not all(map(str.isprintable, parts)):
        raise BadPlace("subfolder: has control characters")
    return FilePlace(folder, "/".join(parts), name_of(name))


def named_place(text: str) -> FilePlace:
    """Return the place that a graph's text names, such as ``a/fox.png [temp]``; raises BadPlace."""
    annotation = ANNOTATED.search(text)
    path = ANNOTATED.sub("", text)
    subfolder, _, name = path.replace("\\", "/").rpartition("/")
    return file_place(annotation[1] if annotation else INPUT, subfolder, name)
