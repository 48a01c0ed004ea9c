"""Nodes that save files: the inputs that say where, as a job sets them.

Most take a prefix, with folders before the name, below ComfyUI's output folder (``folder_paths.
get_save_image_path``). Those that save datasets take a folder, and join a plain name to it.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.saved_names import PREFIX, saved_name

PREFIXES: Mapping[str, str] = {"SaveLoRA": "prefix"}  # of classes that call it otherwise
FOLDER = "folder_name"
DATASET_SAVERS = frozenset(
    {"SaveImageDataSetToFolder", "SaveImageTextDataSetToFolder", "SaveTrainingDataset"}
)
SILENT = DATASET_SAVERS | {  # classes that save without telling ComfyUI which files
    "CheckpointSave",
    "CLIPSave",
    "ImageOnlyCheckpointSave",
    "LoraSave",
    "ModelSave",
    "SaveLoRA",
    "VAESave",
}
MAX_SILENT = 20  # nodes that are named in warnings


def is_replaced(class_type: str, name: str) -> bool:
    """Return whether a job sets an input itself, whatever a graph says."""
    if name == FOLDER:
        return class_type in DATASET_SAVERS
    return name == PREFIX or PREFIXES.get(class_type) == name


def saving_in(folder: str, node: str, graph: Graph) -> Mapping[str, Any]:
    """Return the inputs of a node, with those that say where it saves leading below ``folder``."""
    class_type, inputs = graph[node]["class_type"], graph[node]["inputs"]
    changed = dict(inputs)
    for name in filter(partial(is_replaced, class_type), inputs):
        saved = saved_name(graph, inputs[name])
        is_joined = name == PREFIX and class_type in DATASET_SAVERS
        changed[name] = saved if is_joined else f"{folder}/{saved}"
    return changed


def silent_savers(graph: Graph, reporting: Collection[str]) -> Iterator[str]:
    """Describe each node whose class does not tell which files it saves, unless it is one of
    those that did: a newer ComfyUI's may."""
    silent = (
        f"node {node} ({body['class_type']}) does not tell ComfyUI which files it saves: they stay "
        "in ComfyUI's folders on the worker, and are no outputs of the job"
        for node, body in graph.items()
        if body["class_type"] in SILENT and node not in reporting
    )
    yield from islice(silent, MAX_SILENT)
