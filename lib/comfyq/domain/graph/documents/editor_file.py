"""An editor file as a document: converted, or refused as a graph is."""

from collections.abc import Mapping, Sequence
from typing import Any

from comfyq.domain.errors import FieldError, InvalidGraph
from comfyq.domain.graph.documents.errors import invalid_graph, refused
from comfyq.domain.graph.editor.conversion import Remark, convert
from comfyq.domain.graph.editor.document import BadEditorFile, read_editor_file
from comfyq.domain.graph.editor.instances import TooManyNodes
from comfyq.domain.graph.graph import NewGraph
from comfyq.domain.graph.node_catalogue import NodeCatalogue

MAX_OBSTACLES = 20  # that an answer lists


def graph_of_editor_file(
    editor: Mapping[str, Any], catalogue: NodeCatalogue
) -> tuple[NewGraph, Sequence[str]]:
    """Convert an editor file; return its graph, and what was made of nodes that it does not say
    enough of.

    Raises:
        InvalidGraph: it cannot be converted.
    """
    try:
        conversion = convert(read_editor_file(editor), catalogue)
    except (BadEditorFile, TooManyNodes) as wrong:
        raise refused(f"is an editor file, and {wrong}") from None
    if conversion.obstacles:
        raise _not_converted(conversion.obstacles)
    warnings = [str(each) for each in conversion.warnings[:MAX_OBSTACLES]]
    if len(conversion.warnings) > MAX_OBSTACLES:
        more = len(conversion.warnings) - MAX_OBSTACLES
        warnings.append(f"and {more} more nodes were left out, or got defaults")
    return conversion.graph, warnings


def _not_converted(obstacles: Sequence[Remark]) -> InvalidGraph:
    shown = obstacles[:MAX_OBSTACLES]
    fields = [FieldError(f"graph.{each.node}", str(each)) for each in shown]
    if len(obstacles) > MAX_OBSTACLES:
        more = len(obstacles) - MAX_OBSTACLES
        fields.append(FieldError("graph", f"and {more} more nodes cannot be converted"))
    return invalid_graph(fields)
