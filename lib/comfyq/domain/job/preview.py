"""Pictures of what a running job has so far."""

from dataclasses import dataclass
from enum import StrEnum


class PreviewMethod(StrEnum):
    """The ways in which ComfyUI makes previews."""

    AUTO = "auto"  # by a small formula, which costs some milliseconds a step
    LATENT2RGB = "latent2rgb"  # the same
    TAESD = "taesd"  # by a small model, which ComfyUI must have; closer to the picture
    NONE = "none"
    DEFAULT = "default"  # as ComfyUI was started


@dataclass(frozen=True, slots=True)
class SmallPicture:
    """One that a frame has room for."""

    content: bytes
    content_type: str
    width: int
    height: int
