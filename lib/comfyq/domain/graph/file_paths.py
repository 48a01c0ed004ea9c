"""Paths that lead out of ComfyUI's folders, which a client's own graph may not name.

Loaders open whatever file the ComfyUI process can read, and nodes that save datasets make folders
wherever they are told to. So a file or folder that a client names is one below ComfyUI's folders.
"""

import re
from collections.abc import Iterator

from comfyq.domain.graph.errors import At, GraphError
from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.saved_names import PREFIX, texts

# Words in names of inputs: `folder_name`, `image_path`, `output_dir` take files or folders. An
# `image` is one, too, unless the name says that it is a text: `image_description`.
PLACES = {"dir", "directory", "file", "filename", "files", "folder", "path", "paths"}
MEDIA = {"audio", "image", "images", "latent", "mask", "model", "video"}
TEXTS = {"caption", "description", "prompt", "text"}
ABSOLUTE = re.compile(r"\s*(?:[/\\~]|[A-Za-z]:[/\\])")


def outside_paths(graph: Graph, catalogue: NodeCatalogue | None) -> Iterator[GraphError]:
    """Find values of file and folder inputs that are absolute, or lead upwards by ``..``.

    What a link computes is not known before the graph runs. A prefix of saved files may be any
    path: it is replaced by one in the job's own folder.
    """
    for node, body in graph.items():
        for name, value in body["inputs"].items():
            if name == PREFIX or not any(map(_leads_out, texts(value))):
                continue
            if _is_of_file(body["class_type"], name, catalogue):
                yield At(node, body["class_type"]).outside_path(name)


def _leads_out(text: str) -> bool:
    """Return whether a path is not below a folder; some nodes join its parts before they open it,
    so neither a long path nor one with an odd part is harmless."""
    return ABSOLUTE.match(text) is not None or ".." in text.replace("\\", "/").strip().split("/")


def _is_of_file(class_type: str, name: str, catalogue: NodeCatalogue | None) -> bool:
    words = set(re.split(r"[\W_]+", name.lower()))
    if words & PLACES or (words & MEDIA and not words & TEXTS):
        return True
    node_class = None if catalogue is None else catalogue.classes.get(class_type)
    spec = None if node_class is None else node_class.inputs.get(name)
    return spec is not None and spec.is_file
