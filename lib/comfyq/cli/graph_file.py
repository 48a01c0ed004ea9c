"""Files that hold a graph, as options of ``comfyq submit``."""

import json
from collections.abc import Sequence
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from comfyq.cli.errors import CannotStart
from comfyq.domain.graph.documents.encoding import read_content
from comfyq.domain.graph.documents.errors import UnreadableDocument

GRAPH = Annotated[
    Path,
    typer.Option(help="API format or editor file, as JSON; or a PNG or WebP of ComfyUI's."),
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
        return read_content(file.read_bytes())
    except OSError as wrong:
        raise CannotStart(f"cannot read {file}: {wrong}") from None
    except UnreadableDocument as wrong:
        raise CannotStart(f"{file} {wrong}") from None


def override_of(text: str) -> tuple[str, Any]:
    """Read ``NODE.INPUT=VALUE``; raises CannotStart."""
    place, equals, value = text.partition("=")
    if not equals or "." not in place:
        raise CannotStart(f"{text!r} is no override; write `--override NODE.INPUT=VALUE`")
    try:
        return place, json.loads(value)
    except ValueError:
        return place, value
