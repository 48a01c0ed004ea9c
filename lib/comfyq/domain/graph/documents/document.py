"""The one reader of graphs: what a client sends, as a graph or editor file with what goes along."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyq.domain.errors import FieldError, InvalidGraph
from comfyq.domain.graph.documents.envelope import opened
from comfyq.domain.graph.documents.errors import UnreadableDocument, invalid_graph, refused
from comfyq.domain.graph.node_catalogue import NodeCatalogue

PNGINFO = "extra_pnginfo"
NODE_KEYS = (
    "class_type",
    "inputs",
    "_meta",
)  # what of a node's other keys ComfyUI writes for itself
NO_CATALOGUE = (
    "is an editor file, which is converted by the catalogue of a worker's ComfyUI, and no worker "
    "is known yet: start one, or send the API format (“Export (API)” in ComfyUI's menu “Workflow”)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A graph in API format, or an editor file that is still to be converted."""

    api: Any = None
    editor: Mapping[str, Any] | None = None
    pnginfo: Mapping[str, Any] = field(default_factory=dict)  # for ComfyUI to save with pictures
    warnings: tuple[str, ...] = ()

    def graph(self, catalogue: NodeCatalogue | None) -> Any:
        """Return the graph in API format, which is unchecked yet; raises as ``converted``."""
        graph, _ = self.converted(catalogue)
        return graph

    def converted(self, catalogue: NodeCatalogue | None) -> tuple[Any, Sequence[str]]:
        """Return the graph in API format, which is unchecked yet, and what was made of nodes that
        an editor file does not say enough of.

        Raises:
            InvalidGraph: it is an editor file that cannot be converted.
        """
        if self.editor is None:
            return _with_known_keys(self.api), ()
        if catalogue is None:
            raise refused(NO_CATALOGUE)
        # imported with the first editor file: a process's first request should not wait for it
        from comfyq.domain.graph.documents.editor_file import graph_of_editor_file

        return graph_of_editor_file(self.editor, catalogue)


def read_document(value: Any, extra_data: Any = None) -> Document:
    """Read what a client sent as its graph, in whatever envelope, and its ``extra_data``.

    Raises:
        InvalidGraph: it holds no graph, or something that is not known.
    """
    try:
        content = opened(value)
    except UnreadableDocument as wrong:
        raise refused(str(wrong)) from None
    pnginfo: dict[str, Any] = {}
    for path, each in [*content.extra_data, ("extra_data", extra_data)]:
        pnginfo |= _pnginfo(path, each)
    if content.editor is not None:
        pnginfo.setdefault("workflow", content.editor)
    return Document(
        api=content.api,
        editor=content.editor,
        pnginfo=pnginfo,
        warnings=tuple(content.warnings),
    )


def _pnginfo(path: str, extra_data: Any) -> Mapping[str, Any]:
    if extra_data is None:
        return {}
    if not isinstance(extra_data, Mapping):
        raise InvalidGraph(f"{path}: is an object", [FieldError(path, "is an object")])
    unknown = f"is not known; only `{PNGINFO}` is passed on to ComfyUI: leave it out"
    fields = [FieldError(f"{path}.{name[:80]}", unknown) for name in extra_data if name != PNGINFO]
    pnginfo = extra_data.get(PNGINFO)
    if not isinstance(pnginfo, Mapping | None):
        fields.append(FieldError(f"{path}.{PNGINFO}", "is an object, of what to save in pictures"))
    if fields:
        raise invalid_graph(fields)
    return pnginfo or {}


def _with_known_keys(graph: Any) -> Any:
    """Drop what stands beside a node's class and inputs, such as ``is_changed``: ComfyUI keeps it
    there for itself, and in pictures."""
    if not isinstance(graph, Mapping):
        return graph
    return {
        node: {key: body[key] for key in NODE_KEYS if key in body}
        if isinstance(body, Mapping)
        else body
        for node, body in graph.items()
    }
