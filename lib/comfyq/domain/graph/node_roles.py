"""Roles of nodes, derived from the nodes that their outputs lead to."""

from collections.abc import Iterator, Sequence

from comfyq.domain.graph.graph import Graph, Input, Ref, reference

ROLES = ("positive", "negative")


def roles_of(graph: Graph, node: str) -> frozenset[str]:
    """Return the sampler conditions that a text encoder feeds; none if it feeds something else.

    Nodes in between may have inputs of these names too: the first on the way decides.
    """
    roles: set[str] = set()
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        for fed in fed_by(graph, source):
            if fed.name in ROLES:
                roles.add(fed.name)
            else:
                waiting.append(fed.node)
    return frozenset(roles)


def fed_by(graph: Graph, node: str) -> Iterator[Input]:
    """Every input that any output of ``node`` feeds."""
    for other, body in graph.items():
        for name, value in body["inputs"].items():
            source = reference(value)
            if source is not None and source.node == node:
                yield Input(other, name)


def loaded(graph: Graph, name: str, users: Sequence[str]) -> Ref | None:
    """The output of a loader that, through others, feeds an input called ``name`` of ``users``."""
    for user in users:
        source = reference(graph[user]["inputs"].get(name))
        for _ in range(len(graph)):
            if source is None or source.node not in graph:
                break
            above = reference(graph[source.node]["inputs"].get(name))
            if above is None:
                return source
            source = above
    return None
