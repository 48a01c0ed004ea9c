"""A CloudFormation template as the rules read it: expanded by SAM, or as it is written."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    id: str
    type: str  # AWS::SQS::Queue
    properties: Properties
    whole: Properties  # with Condition, DependsOn, DeletionPolicy

    @property
    def condition(self) -> str | None:
        return self.whole.get("Condition")

    def find(self, path: str, default: Any = None) -> Any:
        """Return the value at ``A.B.0.C`` of the properties."""
        return at(self.properties, path, default)


@dataclass(frozen=True)
class Document:
    content: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Document":
        return cls(json.loads(path.read_text(encoding="utf-8")))

    @cached_property
    def resources(self) -> Mapping[str, Resource]:
        return {
            name: Resource(name, whole["Type"], whole.get("Properties", {}), whole)
            for name, whole in self.content["Resources"].items()
        }

    def of(self, *types: str) -> Iterator[Resource]:
        """The resources of these types."""
        return (resource for resource in self.resources.values() if resource.type in types)

    def get(self, name: str) -> Resource:
        """An empty one if there is none: then every rule about it finds its fault."""
        return self.resources.get(name) or Resource(name, "", {}, {})


def at(value: Any, path: str, default: Any = None) -> Any:
    for step in path.split("."):
        match value:
            case dict() if step in value:
                value = value[step]
            case list() if step.isdigit() and int(step) < len(value):
                value = value[int(step)]
            case _:
                return default
    return value


def many(value: Any) -> list[Any]:
    """IAM takes one or a list of them."""
    return value if isinstance(value, list) else [value]
