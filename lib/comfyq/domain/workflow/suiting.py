"""Parameters narrowed to what one ComfyUI's catalogue allows, so that no value of ours is refused.

A range of the manifest only becomes smaller. Where the two have nothing in common, it stays: the
graph is refused then, with the values that its author chose.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

from comfyq.domain.graph.graph import Graph
from comfyq.domain.graph.node_catalogue import NodeCatalogue
from comfyq.domain.graph.value_places import is_number
from comfyq.domain.graph.value_range import Ranges, ValueRange, ranges_at
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.workflow.coercion import DRAW
from comfyq.domain.workflow.parameters import Parameter

WHOLE = frozenset({"integer", "size", "seed"})
RANGED = WHOLE | {"number"}
DRAWN_SEEDS = 2**53  # below it, so that JavaScript reads a drawn seed exactly


def suited(
    parameter: Parameter,
    graph: Graph,
    catalogue: NodeCatalogue,
    *,
    may_come: Iterable[LockedModel] = (),
) -> Parameter:
    """Return the parameter with the choices or the range that the catalogue has for its places;
    models that a worker would fetch are choices, too."""
    if parameter.source:
        listed = catalogue.names(parameter.source)
        come = [each.file for each in may_come if each.folder == parameter.source]
        return replace(parameter, choices=(*listed, *(x for x in come if x not in listed)))
    if parameter.kind not in RANGED:
        return parameter
    ranges = Ranges()
    for place in parameter.bindings:
        ranges = ranges.within(ranges_at(catalogue, graph, place))
    own = ValueRange(parameter.minimum, parameter.maximum)
    accepted = _or(_whole(parameter, own.within(ranges.enforced)), own)
    declared = _or(_whole(parameter, accepted.within(ranges.declared)), accepted)
    return replace(
        parameter,
        minimum=accepted.low,
        maximum=accepted.high,
        declared=declared,
        default=_default(parameter, declared),
    )


def drawn(parameter: Parameter, random: int) -> int:
    """Return a seed of the parameter's range and step; ``random`` has at least 53 random bits."""
    allowed = ValueRange(parameter.minimum, parameter.maximum).within(parameter.declared)
    low = 0 if allowed.low is None else int(allowed.low)
    high = DRAWN_SEEDS - 1 if allowed.high is None else int(allowed.high)
    if low < DRAWN_SEEDS <= high:
        high = DRAWN_SEEDS - 1
    if low < 0 <= high:
        low = 0
    step = int(allowed.step) if allowed.step and allowed.step >= 1 else 1
    return low + random % ((high - low) // step + 1) * step


def _whole(parameter: Parameter, allowed: ValueRange) -> ValueRange:
    """Round the bounds of whole numbers into the range."""
    if parameter.kind not in WHOLE:
        return allowed
    low = None if allowed.low is None else math.ceil(allowed.low)
    high = None if allowed.high is None else math.floor(allowed.high)
    return ValueRange(low, high, allowed.step)


def _or(allowed: ValueRange, other: ValueRange) -> ValueRange:
    """Return a range, or the other one if there is no number in it."""
    empty = allowed.low is not None and allowed.high is not None and allowed.low > allowed.high
    return other if empty else allowed


def _default(parameter: Parameter, allowed: ValueRange) -> object:
    """Return the default, moved into the range if it is outside."""
    default = parameter.default
    if not is_number(default) or (parameter.kind == "seed" and default == DRAW):
        return default
    step = parameter.multiple_of or 1
    if allowed.high is not None and default > allowed.high:
        return allowed.high - allowed.high % step if parameter.kind in WHOLE else allowed.high
    if allowed.low is not None and default < allowed.low:
        return allowed.low + -allowed.low % step if parameter.kind in WHOLE else allowed.low
    return default
