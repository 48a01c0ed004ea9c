"""Rules about the GPU pool: how it grows, how it goes to zero, how its workers end."""

import re
from collections.abc import Iterator
from typing import Any

from infra.checks.document import Document, Resource
from infra.checks.intrinsics import container_variables, references, without_branch

CONDITION = "GpuPool"
IDLE_MINUTES = 10
SPOT_NOTICE_S = 120
GIVE_BACK_S = 15  # after the drain, to give back what has not ended

WAITING = "ApproximateNumberOfMessagesVisible"
WORK = {
    WAITING,
    "ApproximateNumberOfMessagesNotVisible",  # running
    "ApproximateNumberOfMessagesDelayed",  # to be tried again
}


def the_front_door_stands_alone(document: Document) -> Iterator[str]:
    """Nothing that is always there refers to the pool."""
    pool = {name for name, each in document.resources.items() if _in_pool(each)}
    if not pool:
        yield "there is no pool"
    for resource in document.resources.values():
        if resource.id not in pool:
            used = pool & set(references(without_branch(resource.properties, CONDITION)))
            for name in sorted(used):
                yield f"{resource.id}: needs {name} of the pool"
    for name, output in document.content.get("Outputs", {}).items():
        if output.get("Condition") != CONDITION and pool & set(references(output["Value"])):
            yield f"output {name}: needs the pool"


def the_pool_is_optional(document: Document) -> Iterator[str]:
    """All that costs money by the hour stands under the condition."""
    for resource in document.resources.values():
        service = resource.type.split("::")[1]
        if service in {"EC2", "ECS", "AutoScaling", "ApplicationAutoScaling"} and not _in_pool(
            resource
        ):
            yield f"{resource.id}: is there without a pool, too"


def the_pool_grows_by_steps(document: Document) -> Iterator[str]:
    """Never to an exact size: that would shrink a busy pool."""
    out = document.get("ScaleOut").find("StepScalingPolicyConfiguration", {})
    if out.get("AdjustmentType") != "ChangeInCapacity":
        yield f"ScaleOut: {out.get('AdjustmentType')} may shrink a busy pool"
    steps = sorted(
        (step.get("MetricIntervalLowerBound", 0), step.get("MetricIntervalUpperBound"), step)
        for step in out.get("StepAdjustments", [])
    )
    edges = [edge for low, high, _ in steps for edge in (low, high)]
    if edges[:1] != [0] or edges[-1:] != [None] or edges[1:-1:2] != edges[2::2]:
        yield f"ScaleOut: its steps leave gaps: {edges}"
    if any(step["ScalingAdjustment"] <= 0 for _, _, step in steps):
        yield "ScaleOut: a step does not add"
    alarm = document.get("JobsWait")
    if alarm.find("AlarmActions") != [{"Ref": "ScaleOut"}]:
        yield "JobsWait: does not scale out"
    if (alarm.find("MetricName"), alarm.find("Threshold")) != (WAITING, 1):
        yield "JobsWait: does not ring for the first job that waits"
    if alarm.find("ComparisonOperator") != "GreaterThanOrEqualToThreshold":
        yield f"JobsWait: rings when {alarm.find('ComparisonOperator')}"


def the_pool_shrinks_only_to_zero(document: Document) -> Iterator[str]:
    """After ten minutes in which nothing waited, ran, or was to be tried again."""
    down = document.get("ScaleIn").find("StepScalingPolicyConfiguration", {})
    if down.get("AdjustmentType") != "ExactCapacity":
        yield "ScaleIn: takes workers from a pool without knowing which of them works"
    if [step["ScalingAdjustment"] for step in down.get("StepAdjustments", [])] != [0]:
        yield "ScaleIn: goes elsewhere than to zero"
    alarm = document.get("PoolIdle")
    if alarm.find("AlarmActions") != [{"Ref": "ScaleIn"}]:
        yield "PoolIdle: does not scale in"
    if (alarm.find("EvaluationPeriods"), alarm.find("DatapointsToAlarm")) != (IDLE_MINUTES,) * 2:
        yield f"PoolIdle: idle after {alarm.find('EvaluationPeriods')} minutes"
    if alarm.find("Threshold") != 0 or alarm.find("TreatMissingData") != "breaching":
        yield "PoolIdle: idle with work, or for ever not"
    yield from _work_faults(alarm)
    target = document.get("PoolTarget")
    sizes = (target.find("MinCapacity"), target.find("MaxCapacity"))
    if sizes != (0, {"Ref": "MaxWorkers"}):
        yield f"PoolTarget: between {sizes}"


def instances_follow_their_workers(document: Document) -> Iterator[str]:
    """An instance is added for a task, and goes when none is on it."""
    capacity = document.get("GpuCapacity")
    provider = capacity.find("AutoScalingGroupProvider", {})
    wanted = {"ManagedTerminationProtection": "ENABLED", "ManagedDraining": "ENABLED"}
    for name, value in wanted.items():
        if provider.get(name) != value:
            yield f"GpuCapacity: {name} is {provider.get(name)}"
    if capacity.find("AutoScalingGroupProvider.ManagedScaling.Status") != "ENABLED":
        yield "GpuCapacity: adds no instances"
    group = document.get("NodeGroup")
    if group.find("NewInstancesProtectedFromScaleIn") is not True:
        yield "NodeGroup: instances with work may be taken"
    if str(group.find("MinSize")) != "0" or group.find("MaxSize") != {"Ref": "MaxWorkers"}:
        yield f"NodeGroup: between {group.find('MinSize')} and {group.find('MaxSize')}"


def workers_end_in_time(document: Document) -> Iterator[str]:
    """A drain and the giving back fit into the stop, and the stop into spot's two minutes."""
    container = document.get("WorkerTask").find("ContainerDefinitions.0", {})
    drain_s = float(container_variables(container).get("COMFYQ_DRAIN_S", 0))
    stop_s = container.get("StopTimeout", 30)
    if not 0 < drain_s + GIVE_BACK_S <= stop_s <= SPOT_NOTICE_S:
        yield f"WorkerTask: drains for {drain_s} s, is killed after {stop_s} s"
    data = str(document.get("NodeTemplate").find("LaunchTemplateData.UserData"))
    [agent_s] = re.findall(r"ECS_CONTAINER_STOP_TIMEOUT=(\d+)s", data) or ["0"]
    if int(agent_s) < stop_s:
        yield f"NodeTemplate: the agent kills after {agent_s} s"
    for wanted in ("ECS_ENABLE_SPOT_INSTANCE_DRAINING=true", "spot/instance-action"):
        if wanted not in data:
            yield f"NodeTemplate: {wanted} is missing; a spot notice goes unheard"
    gpus = [each for each in container.get("ResourceRequirements", []) if each["Type"] == "GPU"]
    if gpus != [{"Type": "GPU", "Value": "1"}]:
        yield f"WorkerTask: has {gpus} GPUs"


def _in_pool(resource: Resource) -> bool:
    return resource.condition in {CONDITION, "WarmPool"}


def _work_faults(alarm: Resource) -> Iterator[str]:
    """The alarm's expression is the sum of all kinds of work, minute by minute."""
    metrics: list[dict[str, Any]] = alarm.find("Metrics", [])
    shown = [each for each in metrics if each.get("ReturnData", True)]
    summed = {
        each["MetricStat"]["Metric"]["MetricName"] for each in metrics if "MetricStat" in each
    }
    if summed != WORK:
        yield f"PoolIdle: does not see {sorted(WORK - summed)}"
    ids = {each["Id"] for each in metrics if "MetricStat" in each}
    terms = set(re.split(r"\s*\+\s*", shown[0].get("Expression", ""))) if len(shown) == 1 else set()
    if terms != ids:
        yield f"PoolIdle: adds up {sorted(terms)}"
    if {each["MetricStat"].get("Period") for each in metrics if "MetricStat" in each} != {60}:
        yield "PoolIdle: does not look each minute"
