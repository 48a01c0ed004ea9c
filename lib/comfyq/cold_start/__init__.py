"""Quicker imports of functions and commands; the package imports nothing else of ours."""

import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from comfyq.cold_start.quick_dataclass import quick_dataclasses


@contextmanager
def cold_start() -> Iterator[None]:
    """Import without garbage collections, which find nothing then, and leave out of all later ones
    what was imported; dataclasses are made with less compiling.

    FastAPI imports pydantic's old version only to see whether a model is one of it; none of ours
    is, and where that version cannot be imported FastAPI does without.
    """
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type] # it cannot be imported
    collects = gc.isenabled()
    gc.disable()
    try:
        with quick_dataclasses():
            yield
    finally:
        if collects:
            gc.enable()
        gc.freeze()


@contextmanager
def models_built_on_use() -> Iterator[None]:
    """Import models of pydantic, FastAPI's and ours, without what validates and renders them,
    which each builds when it is first used: a process uses few of them, and those of OpenAPI
    documents only when the first document is asked for."""
    from pydantic import BaseModel, ConfigDict  # only what serves the API needs it
    from pydantic.warnings import UnsupportedFieldAttributeWarning

    # FastAPI gives parameters attributes of fields; it turns the warning off while it builds them.
    warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
    BaseModel.model_config = ConfigDict(defer_build=True)  # inherited by models defined from now on
    build = BaseModel.__dict__["model_rebuild"]

    def build_on_use(cls: type[BaseModel], **options: Any) -> bool | None:
        """Build a model that is used; modules that ask for it without options do not need it."""
        return build.__func__(cls, **options) if options else None

    BaseModel.model_rebuild = classmethod(build_on_use)  # type: ignore[arg-type, assignment, method-assign]
    try:
        yield
    finally:
        BaseModel.model_rebuild = build  # type: ignore[method-assign]
        BaseModel.model_config = ConfigDict()
