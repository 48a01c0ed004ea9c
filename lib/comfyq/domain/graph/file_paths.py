"""Paths that lead out of ComfyUI's folders, which a client's own graph may not name.

Loaders open whatever file the ComfyUI process can read, and nodes that save datasets make folders
wherever they are told to. So a file or folder that a client names is one below ComfyUI's folders.
"""

import re
from collections.abc import Iterator
from typing import Any

from comfyq.domain.graph.errors import At, GraphError
from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.saved_names import MAX_PATH_CHARS, PREFIX, texts

# Words in names of inputs that take files or folders: `folder_name`, `image_path`, `output_dir`.
WORDS = {
    *("audio", "dir", "directory", "file", "filename", "files", "folder", "image", "images"),
    *("latent", "mask", "model", "path", "paths", "video"),
}
FLAGS = ("image_upload", "video_upload", "audio_upload", "file_upload", "image_folder")
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
    if len(text) > MAX_PATH_CHARS or "\n" in text.strip():
        return False
    return ABSOLUTE.match(text) is not None or ".." in text.replace("\\", "/").strip().split("/")


def _is_of_file(class_type: str, name: str, catalogue: NodeCatalogue | None) -> bool:
    if WORDS & set(re.split(r"[\W_]+", name.lower())):
        return True
    return any(_option(class_type, name, flag, catalogue) for flag in FLAGS)


def _option(class_type: str, name: str, flag: str, catalogue: NodeCatalogue | None) -> Any:
    node_class = None if catalogue is None else catalogue.classes.get(class_type)
    spec = None if node_class is None else node_class.inputs.get(name)
    return None if spec is None else spec.options.get(flag)
