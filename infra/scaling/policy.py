"""The numbers by which the pool of template.yaml scales."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.checks.document import Document
from infra.checks.intrinsics import container_variables
from infra.checks.written import written

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Step:
    """``add`` workers where the backlog is in [``low``, ``high``)."""

    low: int
    high: float
    add: int


@dataclass(frozen=True)
class Policy:
    steps: Sequence[Step]
    cooldown_s: int  # after a scale-out
    period_s: int  # between looks
    idle_periods: int  # of no work at all, until the pool goes to zero
    max_workers: int
    drain_s: float  # of a running job, when its worker is stopped
    depth: int  # jobs that a worker holds at once

    def add(self, backlog: int) -> int:
        return sum(step.add for step in self.steps if step.low <= backlog < step.high)


def policy_of(document: Document) -> Policy:
    """Raises KeyError or TypeError where the template has no such pool."""
    out = document.get("ScaleOut").properties["StepScalingPolicyConfiguration"]
    rings, idle = document.get("JobsWait"), document.get("PoolIdle")
    threshold = rings.properties["Threshold"]
    drain_s = _environment(document)["COMFYQ_DRAIN_S"]
    return Policy(
        steps=[_step(step, threshold) for step in out["StepAdjustments"]],
        cooldown_s=out["Cooldown"],
        period_s=rings.properties["Period"],
        idle_periods=idle.properties["EvaluationPeriods"],
        max_workers=document.content["Parameters"]["MaxWorkers"]["Default"],
        drain_s=float(drain_s),
        depth=2,
    )


def template_policy() -> Policy:
    return policy_of(written((ROOT / "template.yaml").read_text(encoding="utf-8")))


def _step(step: dict[str, Any], threshold: int) -> Step:
    """The template counts from the alarm's threshold."""
    low, high = step["MetricIntervalLowerBound"], step.get("MetricIntervalUpperBound")
    top = float("inf") if high is None else threshold + high
    return Step(threshold + low, top, step["ScalingAdjustment"])


def _environment(document: Document) -> dict[str, Any]:
    return container_variables(document.get("WorkerTask").find("ContainerDefinitions.0"))
