"""A template without some of its resources, and without whatever needs those."""

from collections.abc import Mapping
from typing import Any

from infra.deployment.references import references

Content = Mapping[str, Any]  # a whole template
Reasons = Mapping[str, str]  # by logical id, why it is left out

NOTE = "comfyq"  # in the template's Metadata: what was left out, and why


def without(template: Content, reasons: Reasons) -> tuple[Content, Reasons]:
    """The rest of a template, and why each resource that it has not is left out."""
    left_out = dict(reasons)
    resources = {name: each for name, each in template["Resources"].items() if name not in reasons}
    while needy := {
        name: f"needs {missing}"
        for name, resource in resources.items()
        if (missing := next((each for each in _needs(resource) if each in left_out), None))
    }:
        left_out |= needy
        resources = {name: each for name, each in resources.items() if name not in needy}
    outputs = {
        name: output
        for name, output in template.get("Outputs", {}).items()
        if left_out.keys().isdisjoint(references(output))
    }
    return {**template, "Resources": resources, "Outputs": outputs}, left_out


def noted(template: Content, left_out: Reasons) -> Content:
    """The template with a note of what it has been left without."""
    metadata = {**template.get("Metadata", {}), NOTE: {"left_out": dict(left_out)}}
    return {**template, "Metadata": metadata}


def note_of(template: Content) -> Reasons:
    """Return what ``noted`` has noted; nothing for any other template."""
    reasons: Reasons = template.get("Metadata", {}).get(NOTE, {}).get("left_out", {})
    return reasons


def disposable(template: Content) -> Content:
    """The template with nothing in it that outlives its stack."""
    return {
        **template,
        "Resources": {name: _disposable(each) for name, each in template["Resources"].items()},
    }


def _disposable(resource: Content) -> Content:
    kept = {
        key: part
        for key, part in resource.items()
        if key not in ("DeletionPolicy", "UpdateReplacePolicy")
    }
    properties = resource.get("Properties", {})
    if properties.get("DeletionProtectionEnabled"):
        kept["Properties"] = {**properties, "DeletionProtectionEnabled": False}
    return kept


def _needs(resource: Content) -> list[str]:
    depends = resource.get("DependsOn", [])
    explicit = [depends] if isinstance(depends, str) else list(depends)
    return explicit + list(references(resource.get("Properties", {})))
