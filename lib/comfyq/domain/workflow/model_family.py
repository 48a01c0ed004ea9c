"""The family of a graph: jobs of one family share the models that ComfyUI has loaded."""

from collections.abc import Iterator
from functools import lru_cache

from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.model_names import without_extension
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.traversal import reached, upstream_of

MAX_FAMILY_CHARS = 100
ANY_FAMILY = "any"

LOADED = ("ckpt_name", "unet_name")  # inputs that name what makes a job's models


def family_of(graph: Graph, catalogue: NodeCatalogue | None = None) -> str:
    """Return what the loaders load that ComfyUI runs, without extensions: it runs what outputs
    need, and no other node."""
    loaded = [
        (node, value)
        for node, body in graph.items()
        for name in LOADED
        if isinstance(value := body["inputs"].get(name), str) and value
    ]
    if not loaded:
        return ANY_FAMILY
    run = reached(graph, _outputs(graph, catalogue)) or graph
    names = {_short(value) for node, value in loaded if node in run}
    return "+".join(sorted(names))[:MAX_FAMILY_CHARS] or ANY_FAMILY


def _outputs(graph: Graph, catalogue: NodeCatalogue | None) -> Iterator[str]:
    """Yield the outputs; of a class that is not known, a node that others feed and that feeds
    none."""
    sources = {node: upstream_of(graph, node) for node in graph}
    feeding = {source for each in sources.values() for source in each}
    classes = {} if catalogue is None else catalogue.classes
    for node, body in graph.items():
        known = classes.get(body["class_type"])
        if known.is_output if known else (sources[node] and node not in feeding):
            yield node


@lru_cache(maxsize=1_024)  # jobs name the same models again and again
def _short(model: str) -> str:
    return without_extension(model).replace("\\", "/").rsplit("/", 1)[-1]
