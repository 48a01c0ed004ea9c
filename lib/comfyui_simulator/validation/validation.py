"""Validation of graphs, decided as ComfyUI decides it.

An output is valid when it and everything upstream of it is. One valid output is enough: the
others are reported and left out.
"""

from collections.abc import Collection
from typing import Any

from comfyui_simulator.validation import problems
from comfyui_simulator.validation.inspection import Inspection, RawGraph, Rules, ValidationResult
from comfyui_simulator.validation.problems import Problem


def validate(
    graph: RawGraph, *, rules: Rules, targets: Collection[str] | None = None
) -> ValidationResult:
    """Judge a graph; `targets` limits which outputs are wanted.

    Converts values to the type of their input, in place, as ComfyUI does.
    """
    for node_id, node in graph.items():
        error = _unknown_node(node_id, node, rules)
        if error:
            return ValidationResult(error)
    outputs = [
        node_id
        for node_id, node in graph.items()
        if rules.catalogue[node["class_type"]].is_output and (targets is None or node_id in targets)
    ]
    if not outputs:
        return ValidationResult(problems.no_outputs())
    return Inspection(rules, graph).judge(outputs)


def _unknown_node(node_id: str, node: dict[str, Any], rules: Rules) -> Problem | None:
    class_type = node.get("class_type")
    if class_type is not None and rules.catalogue.get(class_type):
        return None
    if rules.wire.names_missing_nodes:
        return problems.missing_node_type(
            node_id, class_type, _title(node) or class_type or node_id
        )
    if "class_type" not in node:
        return problems.no_class_type(node_id)
    return problems.unknown_class(node_id, str(class_type))


def _title(node: dict[str, Any]) -> Any:
    """Return the title that the editor gave the node; ``_meta`` may be of any type."""
    meta = node.get("_meta")
    return meta.get("title") if isinstance(meta, dict) else None
