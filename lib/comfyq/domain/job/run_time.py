from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import nlargest

MAX_NODES = 64  # of a workflow that are remembered: those that take longest
MAX_KEY_CHARS = 100


@dataclass(frozen=True, slots=True)
class RunTime:
    """The time that a run of a workflow takes, or has taken."""

    seconds: float  # from its start to its stored results
    nodes: Mapping[str, float] = field(default_factory=dict)  # as ``node_costs.learned`` has them

    def moved(self, run: "RunTime", *, weight: float) -> "RunTime":
        """Move this average toward a run. Nodes that did not run in it stay as they are."""
        nodes = dict(self.nodes)
        for key, took_s in run.nodes.items():
            usual_s = nodes.get(key, took_s)
            nodes[key] = usual_s + weight * (took_s - usual_s)
        seconds = self.seconds + weight * (run.seconds - self.seconds)
        return RunTime(seconds, nodes).bounded

    @property
    def bounded(self) -> "RunTime":
        """This without what there is no room for."""
        short = [(took_s, key) for key, took_s in self.nodes.items() if len(key) <= MAX_KEY_CHARS]
        return RunTime(self.seconds, {key: took_s for took_s, key in nlargest(MAX_NODES, short)})
