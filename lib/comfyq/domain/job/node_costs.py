"""The likely part of each node in a run's time, so that progress is the same all through a run.

Costs are seconds where earlier runs of the workflow have shown them. Without such runs they are
guessed by class, in steps of a sampler.
"""

from collections.abc import Callable, Mapping
from typing import Any

from comfyq.domain.graph.graph import Graph, reference

KeyOf = Callable[[str, str], str]
"""(node id, class) -> the name under which the times of a node are kept."""

SAMPLER_PREFIXES = ("KSampler", "SamplerCustom")
NOT_SAMPLERS = frozenset({"KSamplerSelect"})
USUAL_STEPS = 20  # of a sampler where no node of the graph says how many
MAX_STEPS = 10_000
LINKS = 5  # that are followed from a sampler to the node that says its steps

GUESSES: Mapping[str, float] = {  # by a part of a class's name: the first that fits counts
    "UpscaleWithModel": 10.0,
    "SDUpscale": 40.0,
    "Detailer": 40.0,
    "Loader": 2.0,
    "VAEDecode": 1.0,
    "VAEEncode": 1.0,
    "TextEncode": 0.5,
}
GUESS = 0.1  # of every other class


def is_sampler(class_type: str) -> bool:
    named = class_type.startswith(SAMPLER_PREFIXES) or class_type.endswith("Sampler")
    return named and class_type not in NOT_SAMPLERS


def class_of(graph: Graph, node: str) -> str:
    return str(graph[node].get("class_type", ""))


def by_node(node: str, class_type: str) -> str:
    """The key of a workflow's own nodes, whose ids are the same in each of its graphs."""
    return f"{node} {class_type}"


def by_class(node: str, class_type: str) -> str:
    """The key where ids mean nothing, as in clients' own graphs."""
    return class_type


def costs_of(graph: Graph, known: Mapping[str, float], *, key: KeyOf) -> Mapping[str, float]:
    """Return what each node is likely to take.

    ``known`` has by key the seconds of earlier runs: a sampler's a step, every other node's in all.
    Nodes that it does not have are guessed, on the scale of those that it has.
    """
    guessed = {node: _guess(graph, node) for node in graph}
    seconds = {
        node: known[name] * _units(graph, node)
        for node in graph
        if (name := key(node, class_of(graph, node))) in known
    }
    total_s = sum(seconds.values())
    if total_s <= 0:
        return guessed
    scale = total_s / sum(guessed[node] for node in seconds)
    return {node: seconds.get(node, guessed[node] * scale) for node in graph}


def learned(graph: Graph, taken_s: Mapping[str, float], *, key: KeyOf) -> Mapping[str, float]:
    """Return by key what ``costs_of`` wants to know, from the seconds that each node has taken."""
    seconds: dict[str, float] = {}
    units: dict[str, int] = {}
    for node, took_s in taken_s.items():
        if node in graph:
            name = key(node, class_of(graph, node))
            seconds[name] = seconds.get(name, 0.0) + took_s
            units[name] = units.get(name, 0) + _units(graph, node)
    return {name: seconds[name] / units[name] for name in seconds}


def _units(graph: Graph, node: str) -> int:
    return _steps(graph, node) if is_sampler(class_of(graph, node)) else 1


def _guess(graph: Graph, node: str) -> float:
    name = class_of(graph, node)
    if is_sampler(name):
        return float(_steps(graph, node))
    return next((cost for part, cost in GUESSES.items() if part in name), GUESS)


def _steps(graph: Graph, node: str) -> int:
    """Return how many steps a sampler will take, as the graph says."""
    inputs = _inputs(graph, node)
    own = _count(graph, inputs.get("steps"))
    if own is None:
        return _steps_above(graph, node) or USUAL_STEPS
    begin = _count(graph, inputs.get("start_at_step")) or 0
    end = _count(graph, inputs.get("end_at_step"))
    return max(1, (own if end is None else min(own, end)) - begin)


def _steps_above(graph: Graph, node: str) -> int | None:
    """Return the steps of the scheduler that makes a sampler's sigmas."""
    for _ in range(LINKS):
        above = _source(graph, _inputs(graph, node).get("sigmas"))
        if above is None:
            return None
        node = above
        steps = _count(graph, _inputs(graph, node).get("steps"))
        if steps is not None:
            return max(1, steps)
    return None


def _count(graph: Graph, value: object) -> int | None:
    """Return a number of steps, also if a node of its own holds it."""
    source = _source(graph, value)
    if source is not None:
        value = _inputs(graph, source).get("value")
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return min(max(value, 0), MAX_STEPS)


def _source(graph: Graph, value: object) -> str | None:
    """Return the node that a linked input comes from."""
    link = reference(value)
    return link.node if link is not None and link.node in graph else None


def _inputs(graph: Graph, node: str) -> Mapping[str, Any]:
    inputs = graph[node].get("inputs")
    return inputs if isinstance(inputs, Mapping) else {}
