"""Files of this machine that hold a graph or a catalogue."""

from pathlib import Path
from typing import Any

from comfyq.domain.graph.documents.encoding import read_content
from comfyq.domain.graph.documents.errors import UnreadableDocument


class CannotImport(Exception):
    """The message is for a person."""


def content_of(file: Path) -> Any:
    """Return the JSON in a file, or in a picture that ComfyUI saved; raises CannotImport."""
    try:
        return read_content(file.read_bytes())
    except OSError as wrong:
        raise CannotImport(f"{file}: cannot be read: {wrong.strerror}") from None
    except UnreadableDocument as wrong:
        raise CannotImport(f"{file}: {wrong}") from None
