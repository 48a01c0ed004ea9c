"""Progress of a run, computed from the nodes that ComfyUI reports.

Samplers take nearly all of a run's time, so they alone make up the fraction; a graph without a
sampler counts its nodes instead. Within an attempt the fraction never falls.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SAMPLER_PREFIXES = ("KSampler", "SamplerCustom")
NOT_SAMPLERS = frozenset({"KSamplerSelect"})


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a running job as clients see it."""

    fraction: float = 0.0  # 0.0 to 1.0
    step: int = 0  # of the node that is executing
    max_steps: int = 0
    message: str | None = None  # the class of the node that is executing


@dataclass(frozen=True, slots=True)
class Advance:
    """One report of ComfyUI: a node is executing, has taken a step, or is done."""

    node: str
    step: int = 0
    max_steps: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Tracker:
    """Turns ComfyUI's reports on one graph into one monotone progress."""

    classes: Mapping[str, str]  # node id -> class
    counted: frozenset[str]
    done: frozenset[str] = field(default_factory=frozenset)
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def of(cls, graph: Mapping[str, Any]) -> "Tracker":
        classes = {node: str(body.get("class_type", "")) for node, body in graph.items()}
        samplers = frozenset(node for node, name in classes.items() if is_sampler(name))
        return cls(classes, samplers or frozenset(classes))

    def advanced(self, report: Advance) -> "Tracker":
        done = self.done | {report.node} if report.done else self.done
        share = report.step / report.max_steps if report.max_steps else 0.0
        current = share if report.node in self.counted - done else 0.0
        fraction = (len(done & self.counted) + current) / max(1, len(self.counted))
        seen = self.progress
        counts = report if report.max_steps else seen
        shown = Progress(
            fraction=max(seen.fraction, min(fraction, 1.0)),
            step=counts.step,
            max_steps=counts.max_steps,
            message=self.classes.get(report.node, seen.message),
        )
        return Tracker(self.classes, self.counted, done, shown)


def is_sampler(class_type: str) -> bool:
    return class_type.startswith(SAMPLER_PREFIXES) and class_type not in NOT_SAMPLERS
