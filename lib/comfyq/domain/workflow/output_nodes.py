"""Nodes whose files are the result of a graph."""

import re
from collections.abc import Iterable, Sequence

from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.node_roles import fed_by
from comfyq.domain.workflow.catalogued_graph import CataloguedGraph

SAVES = re.compile(r"save|video_?combine|export", re.IGNORECASE)
SHOWS = re.compile(r"preview|show|display|compar|note", re.IGNORECASE)
# Of what they save: a class whose name says neither may save anything.
PICTURES = re.compile(r"image|picture|png|jpe?g|webp", re.IGNORECASE)
OTHERS = re.compile(r"video|webm|audio|sound|glb|3d|mesh|text|string|latent", re.IGNORECASE)


def may_save_pictures(graph: Graph, outputs: Iterable[str]) -> bool:
    """Return whether one of the nodes may save pictures, by the names of their classes."""
    classes = [str(graph[node]["class_type"]) for node in outputs]
    return any(PICTURES.search(each) or not OTHERS.search(each) for each in classes)


def output_nodes(catalogued: CataloguedGraph) -> Sequence[str]:
    """Return the nodes that save; where none is called so, other ends; previews last of all.

    An end is an output of the catalogue or, of a class that is not known, a node that nothing
    consumes.
    """
    ends = [node for node in catalogued.graph if _is_end(catalogued, node)]
    saving = [node for node in ends if SAVES.search(catalogued.class_type(node))]
    unnamed = [node for node in ends if not SHOWS.search(catalogued.class_type(node))]
    return saving or unnamed or ends


def _is_end(catalogued: CataloguedGraph, node: str) -> bool:
    node_class = catalogued.node_class(node)
    if node_class is not None:
        return node_class.is_output
    class_type = catalogued.class_type(node)
    if class_type.startswith(("Save", "Preview", "VHS_VideoCombine")):
        return True
    has_inputs = bool(catalogued.graph[node]["inputs"])
    return has_inputs and next(fed_by(catalogued.graph, node), None) is None
