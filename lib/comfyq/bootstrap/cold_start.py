"""What makes the import of a Lambda function quicker; it imports nothing of ours itself."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cold_start() -> Iterator[None]:
    """Import without garbage collections, which find nothing then, and leave out of all later ones
    what was imported.

    FastAPI imports pydantic's old version only to see whether a model is one of it; none of ours
    is, and where that version cannot be imported FastAPI does without.
    """
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type] # it cannot be imported
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
