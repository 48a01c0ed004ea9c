"""Types of outputs and inputs, compared in the order in which ComfyUI compares them.

See ``validate_node_input`` in ComfyUI's ``comfy_execution/validation.py``.
"""

from collections.abc import Iterator
from typing import Any

ANY = "*"
COMBO = "COMBO"
MATCH = "COMFY_MATCHTYPE_V3"  # an input or output whose type the editor keeps equal to others


def types_match(received: Any, wanted: Any) -> bool:
    """Return whether an output may feed an input; commas separate alternatives."""
    if received == wanted:
        return True
    offered, accepted = frozenset(type_names(received)), frozenset(type_names(wanted))
    if ANY in offered | accepted or MATCH in (received, wanted):
        return True
    if isinstance(received, list) and wanted == COMBO:
        return True
    return not offered.isdisjoint(accepted)


def type_names(declared: Any) -> Iterator[str]:
    """Yield the alternatives of a declared type; a list of values has none."""
    if isinstance(declared, str):
        yield from (name.strip() for name in declared.split(","))
