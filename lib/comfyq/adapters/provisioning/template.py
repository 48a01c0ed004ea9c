import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Resource:
    type: str  # AWS::SQS::Queue
    properties: Mapping[str, Any]  # with functions as CloudFormation's JSON has them: {"Ref": …}


@dataclass(frozen=True, slots=True)
class Template:
    parameters: frozenset[str]  # their names
    resources: Mapping[str, Resource]  # by logical id

    def get(self, logical_id: str, type_: str) -> Resource:
        """A resource that must be there, and of that type."""
        resource = self.resources[logical_id]
        if resource.type != type_:
            raise ValueError(f"{logical_id} is an {resource.type}, not an {type_}")
        return resource


@functools.cache
def load(path: Path) -> Template:
    """Read a CloudFormation template in YAML, once for all."""
    document = parse(path.read_text(encoding="utf-8"))
    return Template(
        parameters=frozenset(document.get("Parameters", {})),
        resources={
            logical_id: Resource(resource["Type"], resource.get("Properties", {}))
            for logical_id, resource in document["Resources"].items()
        },
    )


def parse(text: str) -> dict[str, Any]:
    """A whole template, with functions as CloudFormation's JSON has them."""
    document: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506
    return document


class _Loader(yaml.SafeLoader):
    """Reads ``!Ref``, ``!Sub`` and their kin as the mappings that they are short for.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
    """


def _function(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    argument = _argument(loader, node)
    match tag:
        case "Ref" | "Condition":
            return {tag: argument}
        case "GetAtt" if isinstance(argument, str):
            return {"Fn::GetAtt": argument.split(".", 1)}
        case _:
            return {f"Fn::{tag}": argument}


def _argument(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            return loader.construct_scalar(node)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            return loader.construct_mapping(node, deep=True)
        case _:
            raise TypeError(f"a YAML node of an unknown kind: {node}")


_Loader.add_multi_constructor("!", _function)
