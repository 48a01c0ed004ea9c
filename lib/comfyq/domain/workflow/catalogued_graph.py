"""A graph beside the catalogue that may be known of its ComfyUI."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from comfyq.domain.graph.graph import Graph, Input, reference
from comfyq.domain.graph.node_catalogue import InputSpec, NodeCatalogue, NodeClass
from comfyq.domain.graph.value_range import ValueRange, ranges_at, spec_at


@dataclass(frozen=True, slots=True)
class CataloguedGraph:
    graph: Graph
    catalogue: NodeCatalogue | None

    def places(self) -> Iterator[tuple[Input, Any]]:
        """Yield every input with its value. A manifest cannot name nodes with a dot in the id."""
        for node, body in self.graph.items():
            for name, value in body["inputs"].items() if "." not in node else ():
                yield Input(node, name), value

    def value(self, place: Input) -> Any:
        return self.graph[place.node]["inputs"].get(place.name)

    def class_type(self, node: str) -> str:
        return str(self.graph[node]["class_type"])

    def title(self, node: str) -> str:
        """Return the title that the author gave a node in the editor, or nothing."""
        meta = self.graph[node].get("_meta")
        title = meta.get("title") if isinstance(meta, dict) else None
        return title if isinstance(title, str) else ""

    def node_class(self, node: str) -> NodeClass | None:
        return self.catalogue.classes.get(self.class_type(node)) if self.catalogue else None

    def spec(self, place: Input) -> InputSpec | None:
        return spec_at(self.catalogue, self.graph, place) if self.catalogue else None

    def range(self, place: Input) -> ValueRange:
        """Return what the catalogue allows of the place and of whatever gets its value."""
        if self.catalogue is None:
            return ValueRange()
        return ranges_at(self.catalogue, self.graph, place).declared

    def described(self, place: Input) -> str:
        return f"{place.name} of node {place.node} ({self.class_type(place.node)})"

    def source(self, place: Input) -> str:
        """Describe the node that feeds an input."""
        source = reference(self.value(place))
        if source is None or source.node not in self.graph:
            return "another node"
        return f"node {source.node} ({self.class_type(source.node)})"


def last_part(name: str) -> str:
    """Return the name of an input without the names of those that it depends on."""
    return name.rpartition(".")[2]


def beside(name: str, other: str) -> str:
    """Return the name of the input ``other`` that stands in the same option as ``name``."""
    prefix, dot, _ = name.rpartition(".")
    return f"{prefix}{dot}{other}"
