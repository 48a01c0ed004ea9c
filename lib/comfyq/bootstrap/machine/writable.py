"""A trial of whether a folder can be written."""

import os
import tempfile
from pathlib import Path


def writing_fault(folder: Path) -> str | None:
    """Return why nothing can be written in a folder, or made where it is to be; None: it can."""
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"of comfyq")
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return None
