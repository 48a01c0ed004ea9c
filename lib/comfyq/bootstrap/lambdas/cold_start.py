"""What makes the import of a Lambda function quicker; it imports nothing of ours itself."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


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


def import_fastapi() -> None:
    """Import FastAPI without building its models of OpenAPI documents, which pydantic then does
    when the first document is asked for."""
    from pydantic import BaseModel, ConfigDict  # only the API's function needs it

    BaseModel.model_config = ConfigDict(defer_build=True)  # inherited by models defined from now on
    try:
        import_module("fastapi")
    finally:
        BaseModel.model_config = ConfigDict()
