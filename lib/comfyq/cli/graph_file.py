"""Files that hold a graph, as options of ``comfyq submit``."""

import json
from collections.abc import Sequence
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from comfyq.bootstrap.graph_files import CannotImport, content_of
from comfyq.cli.errors import CannotStart

GRAPH_HELP = "API format or editor file, as JSON; or a PNG or WebP of ComfyUI's."
GRAPH = Annotated[Path, typer.Option(metavar="FILE", help=GRAPH_HELP)]
GRAPH_INSTEAD = Annotated[
    Path | None, typer.Option("--graph", metavar="FILE", help=f"In place of WORKFLOW. {GRAPH_HELP}")
]
OVERRIDE = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE.INPUT=VALUE", help="Replace an input; the value is JSON or text."),
]
GRAPH_OPTIONS: Sequence[Parameter] = (
    Parameter("graph", Parameter.KEYWORD_ONLY, annotation=GRAPH),
    Parameter("override", Parameter.KEYWORD_ONLY, default=None, annotation=OVERRIDE),
)


def graph_in(file: Path) -> Any:
    """Return what is in a file as JSON, for the server to judge; raises CannotStart."""
    try:
        return content_of(file)
    except CannotImport as wrong:
        raise CannotStart(str(wrong)) from None


def override_of(text: str) -> tuple[str, Any]:
    """Read ``NODE.INPUT=VALUE``; raises CannotStart."""
    place, equals, value = text.partition("=")
    if not equals or "." not in place:
        raise CannotStart(f"{text!r} is no override; write `--override NODE.INPUT=VALUE`")
    try:
        return place, json.loads(value)
    except (ValueError, RecursionError):
        return place, value
