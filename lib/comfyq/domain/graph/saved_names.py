"""Names under which nodes save their files."""

import re
from collections.abc import Iterator

from comfyq.domain.graph.errors import At, GraphError
from comfyq.domain.graph.graph import Graph

PREFIX = "filename_prefix"  # what nodes that save call it
CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")


def unsafe_names(graph: Graph) -> Iterator[GraphError]:
    """Find prefixes with control characters: ComfyUI saves such a file and cannot serve it."""
    for node, body in graph.items():
        prefix = body["inputs"].get(PREFIX)
        unsafe = CONTROL.search(prefix) if isinstance(prefix, str) else None
        if unsafe:
            at = At(node, body["class_type"])
            yield at.unsafe_name(PREFIX, f"U+{ord(unsafe[0]):04X}", unsafe.start())
