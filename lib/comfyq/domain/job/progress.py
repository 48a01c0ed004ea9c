"""Progress of a run, computed from the nodes that ComfyUI reports.

A node counts by its likely part of the run's time, so that several samplers and upscalers make up
one fraction. Nodes whose results ComfyUI has from an earlier run are done, and take no time: what
is left counts as the whole. Within an attempt the fraction never falls, and it stays below 1 until
the job has succeeded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from comfyq.domain.graph.graph import Graph
from comfyq.domain.job.node_costs import by_node, class_of, costs_of

MOST_RUNNING = 0.99  # of a job whose results are not stored yet
MAX_NODE_CHARS = 64  # of a node's id that is told: a stored job stays small


@dataclass(frozen=True, slots=True)
class Provisioning:
    """The arrival of the models that a job needs, at its worker."""

    done: int  # bytes
    total: int  # bytes
    eta_s: int | None = None  # seconds until all are there; None: too little is known


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a running job as clients see it."""

    fraction: float = 0.0  # 0.0 to 1.0
    step: int = 0  # of the node that is executing
    max_steps: int = 0
    message: str | None = None  # the class of the node that is executing
    node: str | None = None  # its id
    nodes_done: int = 0
    nodes_total: int = 0
    provisioning: Provisioning | None = None  # of a claimed job, while its worker fetches models


@dataclass(frozen=True, slots=True)
class Advance:
    """One report of ComfyUI: a node is executing, has taken a step, or is done."""

    node: str
    step: int = 0
    max_steps: int = 0
    done: bool = False
    cached: bool = False  # done by an earlier run


@dataclass(frozen=True, slots=True)
class Tracker:
    """Turns ComfyUI's reports on one graph, in whatever order they come, into one progress."""

    classes: Mapping[str, str]  # node id -> class
    costs: Mapping[str, float]  # node id -> its likely part of the run, in any unit
    done: frozenset[str] = frozenset()
    cached: frozenset[str] = frozenset()
    shares: Mapping[str, float] = field(default_factory=dict)  # done of nodes that have begun
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def of(cls, graph: Graph) -> "Tracker":
        """Track a graph of which no earlier run is known."""
        classes = {node: class_of(graph, node) for node in graph}
        costs = costs_of(graph, {}, key=by_node)
        return cls(classes, costs, progress=Progress(nodes_total=len(classes)))

    def weighed(self, costs: Mapping[str, float]) -> "Tracker":
        """Go on with other costs of the same nodes; the progress that was shown stays."""
        return replace(self, costs=costs)

    def advanced(self, report: Advance) -> "Tracker":
        if report.node in self.done:
            return self  # told once more, or too late
        is_known = report.node in self.classes
        moved = self._noted(report) if is_known else self
        seen, is_shown = self.progress, is_known and not report.done
        shown_id = report.node if len(report.node) <= MAX_NODE_CHARS else None
        progress = Progress(
            fraction=max(seen.fraction, moved._fraction()),
            step=report.step if report.max_steps else seen.step,
            max_steps=report.max_steps or seen.max_steps,
            message=self.classes[report.node] if is_shown else seen.message,
            node=shown_id if is_shown else seen.node,
            nodes_done=len(moved.done),
            nodes_total=seen.nodes_total,
            provisioning=seen.provisioning,
        )
        return moved._with(moved.done, moved.cached, moved.shares, progress)

    def _noted(self, report: Advance) -> "Tracker":
        shares = {node: share for node, share in self.shares.items() if node != report.node}
        if report.done:
            cached = self.cached | {report.node} if report.cached else self.cached
            return self._with(self.done | {report.node}, cached, shares, self.progress)
        known = self.shares.get(report.node, 0.0)
        share = min(report.step / report.max_steps, 1.0) if report.max_steps else 0.0
        shares[report.node] = max(known, share)
        return self._with(self.done, self.cached, shares, self.progress)

    def _with(
        self,
        done: frozenset[str],
        cached: frozenset[str],
        shares: Mapping[str, float],
        progress: Progress,
    ) -> "Tracker":
        """Replace what changes in a run; each report does it twice: ``replace`` costs more."""
        return Tracker(self.classes, self.costs, done, cached, shares, progress)

    def _fraction(self) -> float:
        # Lists cost one call each; each report of each node comes here.
        to_do = sum([cost for node, cost in self.costs.items() if node not in self.cached])
        if to_do <= 0:
            return MOST_RUNNING if len(self.done) == len(self.classes) else 0.0
        finished = sum([self.costs[node] for node in self.done - self.cached])
        begun = sum([self.costs[node] * share for node, share in self.shares.items()])
        return min((finished + begun) / to_do, MOST_RUNNING)
