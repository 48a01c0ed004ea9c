"""Traversal of graphs, without recursion: a client may send a graph of any depth."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import NoneType

from comfyq.domain.graph.graph import Graph, reference

PLAIN = (str, int, float, NoneType)  # values that refer to no node


def upstream_of(graph: Graph, node: str) -> Sequence[str]:
    """The nodes that feed ``node`` directly."""
    sources = [
        reference(value)
        for value in graph[node]["inputs"].values()
        if not isinstance(value, PLAIN)  # as most values are, of many nodes of every request
    ]
    return [source.node for source in sources if source is not None and source.node in graph]


def reached(graph: Graph, outputs: Iterable[str]) -> frozenset[str]:
    """``outputs`` and every node upstream of them."""
    return _closure(outputs, lambda node: upstream_of(graph, node))


def consumers_of(graph: Graph) -> Mapping[str, Collection[str]]:
    """The nodes that each node feeds directly."""
    fed: dict[str, set[str]] = {node: set() for node in graph}
    for node in graph:
        for source in upstream_of(graph, node):
            fed[source].add(node)
    return fed


def downstream(fed: Mapping[str, Collection[str]], node: str) -> frozenset[str]:
    """``node`` and every node that it feeds, directly or not."""
    return _closure([node], fed.__getitem__)


def _closure(start: Iterable[str], further: Callable[[str], Iterable[str]]) -> frozenset[str]:
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += further(node)
    return frozenset(reached)


def cycle_in(graph: Graph, nodes: Collection[str]) -> Sequence[str]:
    """The nodes of one cycle among ``nodes``, in its order; nothing where there is none."""
    rest = _without_ends(graph, nodes)
    if not rest:
        return []
    path: dict[str, None] = {}
    node = next(iter(rest))
    while node not in path:
        path[node] = None
        node = next(up for up in upstream_of(graph, node) if up in rest)
    visited = list(path)
    return visited[visited.index(node) :]


def _without_ends(graph: Graph, nodes: Collection[str]) -> dict[str, int]:
    """Remove nodes without inputs repeatedly; what remains are cycles and what they feed."""
    feeding = {node: [up for up in upstream_of(graph, node) if up in nodes] for node in nodes}
    feeds: dict[str, list[str]] = {node: [] for node in nodes}
    for node, sources in feeding.items():
        for source in sources:
            feeds[source].append(node)
    left = {node: len(sources) for node, sources in feeding.items()}
    free = [node for node, count in left.items() if count == 0]
    while free:
        done = free.pop()
        del left[done]
        for fed in feeds[done]:
            left[fed] -= 1
            if left[fed] == 0:
                free.append(fed)
    return left
