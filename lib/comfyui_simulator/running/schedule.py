"""The schedule of a graph: the nodes that run, their order, and the results that are shared.

A graph is ComfyUI's API format: `{node_id: {"class_type": ..., "inputs": {name: value or link}}}`,
where a link is `[node_id, slot]`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from comfyui_simulator.catalogue import Catalogue

Graph = Mapping[str, Mapping[str, Any]]


def is_link(value: object) -> bool:
    """Return whether an input is a link to another node's output."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int | float)
    )


def links(graph: Graph, node_id: str) -> Iterator[tuple[str, str]]:
    """The linked inputs of a node, as (input name, upstream node id)."""
    for name, value in graph[node_id]["inputs"].items():
        if is_link(value):
            yield name, value[0]


class Signatures:
    """Names results by what they are made of: equal signatures, equal results.

    A node's signature covers its class, its inputs and everything upstream, but not its id. It is
    None where the result must never be used again.
    """

    def __init__(
        self,
        *,
        graph: Graph,
        catalogue: Catalogue,
        outside: Callable[[str], str | None],
    ) -> None:
        """`outside` returns what a node depends on beside its inputs; None: it always changes."""
        self._graph = graph
        self._catalogue = catalogue
        self._outside = outside
        self._known: dict[str, str | None] = {}

    def of(self, node_id: str) -> str | None:
        if node_id not in self._known:
            self._known[node_id] = None  # a node that leads back to itself has no signature
            self._known[node_id] = self._sign(node_id)
        return self._known[node_id]

    def _sign(self, node_id: str) -> str | None:
        node = self._graph.get(node_id)
        outside = self._outside(node_id) if node is not None else None
        if node is None or outside is None:
            return None
        inputs = {}
        for name, value in node.get("inputs", {}).items():
            upstream = self.of(value[0]) if is_link(value) else ""
            if upstream is None:
                return None
            inputs[name] = [upstream, value[1]] if upstream else value
        own_id = node_id if self._catalogue[node["class_type"]].knows_its_id else ""
        return digest([node["class_type"], outside, own_id, inputs])


def digest(value: Any) -> str:
    """A short hash of anything JSON can say; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class Schedule:
    """The nodes still to run, handed out one by one in ComfyUI's order.

    Among the nodes whose inputs are ready, one that shows something comes first, then one that
    feeds such a node, then one that feeds a feeder; otherwise the one found first.
    """

    def __init__(
        self,
        *,
        graph: Graph,
        outputs: Sequence[str],
        is_cached: Callable[[str], bool],
        is_output: Callable[[str], bool],
    ) -> None:
        self._graph = graph
        self._is_cached = is_cached
        self._is_output = is_output
        self._waits_for: dict[str, set[str]] = {}
        self._feeds: dict[str, list[str]] = {}
        for node_id in outputs:
            self._add(node_id)

    def next(self) -> str | None:
        """The node to run now, or None when all are done. Call `done` before asking again."""
        ready = [node_id for node_id, missing in self._waits_for.items() if not missing]
        for rank in (self._is_output, self._feeds_output, self._feeds_feeder):
            for node_id in ready:
                if rank(node_id):
                    return node_id
        return ready[0] if ready else None

    def done(self, node_id: str) -> None:
        """A node has run: what it fed no longer waits for it."""
        del self._waits_for[node_id]
        for fed in self._feeds.pop(node_id):
            self._waits_for[fed].discard(node_id)

    def _add(self, output: str) -> None:
        # The order in which nodes are found decides ties: depth first, the last input first.
        added = []
        stack = [output]
        while stack:
            node_id = stack.pop()
            if node_id in self._waits_for:
                continue
            self._waits_for[node_id] = set()
            self._feeds[node_id] = []
            added.append(node_id)
            stack += self._uncached(node_id)
        for node_id in added:
            for upstream in self._uncached(node_id):
                self._connect(upstream, node_id)

    def _uncached(self, node_id: str) -> list[str]:
        return [up for _, up in links(self._graph, node_id) if not self._is_cached(up)]

    def _connect(self, upstream: str, node_id: str) -> None:
        if upstream not in self._waits_for[node_id]:
            self._waits_for[node_id].add(upstream)
            self._feeds[upstream].append(node_id)

    def _feeds_output(self, node_id: str) -> bool:
        return any(self._is_output(fed) for fed in self._feeds[node_id])

    def _feeds_feeder(self, node_id: str) -> bool:
        return any(self._feeds_output(fed) for fed in self._feeds[node_id])
