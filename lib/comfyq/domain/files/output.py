"""A file that a job made."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_OUTPUTS = 10_000  # of one job
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
)
VIDEO_SUFFIXES = frozenset({".mp4", ".webm", ".mkv", ".mov", ".avi"})
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".opus", ".ogg", ".m4a"})
TEXT_SUFFIXES = frozenset({".txt", ".json", ".md"})


class OutputKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One stored result of the attempt that won."""

    node: str  # id of the output node that made it
    filename: str  # as ComfyUI named it, without folders
    kind: OutputKind
    content_type: str
    size: int  # bytes
    blake3: str  # hex
    key: str  # where asset storage has it
    text: str | None = None  # a text output, inline; then ``key`` is empty


@dataclass(frozen=True, slots=True)
class OutputPage:
    """Some of a job's outputs, in order."""

    outputs: Sequence[Output]
    start: int  # index of the first
    total: int  # how many the job has

    @property
    def after(self) -> int | None:
        """Index of the first output that follows; None after the last."""
        end = self.start + len(self.outputs)
        return end if end < self.total else None


def kind_of(filename: str) -> OutputKind:
    suffix = "." + filename.rsplit(".", 1)[-1].lower() if "." in filename else ""
    for kind, suffixes in (
        (OutputKind.IMAGE, IMAGE_SUFFIXES),
        (OutputKind.VIDEO, VIDEO_SUFFIXES),
        (OutputKind.AUDIO, AUDIO_SUFFIXES),
        (OutputKind.TEXT, TEXT_SUFFIXES),
    ):
        if suffix in suffixes:
            return kind
    return OutputKind.FILE
