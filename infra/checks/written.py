"""The template as it is written, near enough to its expansion for most rules.

SAM itself is needed for the rest: it makes routes, permissions and event sources.
"""

from collections.abc import Mapping
from typing import Any

from comfyq.adapters.provisioning.template import parse
from infra.checks.document import Document


def written(text: str) -> Document:
    """Functions have what stands under Globals, and Lambda's type."""
    content = parse(text)
    common = content.get("Globals", {}).get("Function", {})
    resources = {name: _plain(each, common) for name, each in content["Resources"].items()}
    return Document({**content, "Resources": resources})


def _plain(resource: Mapping[str, Any], common: Mapping[str, Any]) -> Mapping[str, Any]:
    match resource["Type"]:
        case "AWS::Serverless::Function":
            return _function(resource, common)
        case "AWS::Serverless::WebSocketApi":  # its routes are resources of their own
            kept = {key: part for key, part in resource["Properties"].items() if key != "Routes"}
            return {**resource, "Properties": kept}
        case _:
            return resource


def _function(resource: Mapping[str, Any], common: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = _merged(common, resource["Properties"])
    return {**resource, "Type": "AWS::Lambda::Function", "Properties": properties}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """As SAM merges: what stands above wins, mappings are joined."""
    joined = {
        key: _merged(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **joined}
