"""The reference of metrics and alarms, from the template and the code that emits them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from comfyq.edges.reaper.worker_count import DIMENSION, METRIC, NAMESPACE
from infra.checks.document import Document, Resource
from infra.docs.markdown import code, table, whole_page
from infra.docs.stack import template

INTRODUCTION = f"""\
On AWS, the reaper's function emits one metric of comfyq's own each minute, `{METRIC}` in the
namespace `{NAMESPACE}` with the dimension `{DIMENSION}`: workers that gave a sign of life.
Everything else that alarms and dashboard are made of is AWS's own. On one machine nothing is
exported as metrics: `GET /health` and the log lines tell, which are JSON where standard error is
no terminal."""

ALARM = "AWS::CloudWatch::Alarm"
SIGNS = {
    "GreaterThanOrEqualToThreshold": "≥",
    "GreaterThanThreshold": ">",
    "LessThanOrEqualToThreshold": "≤",
    "LessThanThreshold": "<",
}


def page() -> str:
    rows = [_row(each) for each in alarms(template())]
    head = ("alarm", "goes off when", "metrics", "threshold", "periods")
    return whole_page("Metrics and alarms", INTRODUCTION, "## Alarms", table(head, rows))


def alarms(document: Document) -> Iterator[Resource]:
    return (each for each in document.resources.values() if each.type == ALARM)


def _row(alarm: Resource) -> Sequence[str]:
    rule = alarm.properties
    sign = SIGNS[rule["ComparisonOperator"]]
    only = f" (with the condition {code(alarm.condition)})" if alarm.condition else ""
    return (
        code(alarm.id),
        rule["AlarmDescription"] + only,
        ", ".join(_metrics(alarm)),
        f"{sign} {rule['Threshold']}",
        f"{rule['EvaluationPeriods']} of {_period_s(alarm)} s",
    )


def _metrics(alarm: Resource) -> Iterator[str]:
    rule = alarm.properties
    measured: list[Mapping[str, str]] = [
        rule,
        *(each["MetricStat"]["Metric"] for each in _stats(alarm)),
    ]
    for each in measured:
        if "MetricName" in each:
            yield code(f"{each['Namespace']} {each['MetricName']}")
    for each in rule.get("Metrics", ()):
        if "Expression" in each:
            yield f"as {code(each['Expression'])}"


def _stats(alarm: Resource) -> list[dict[str, Any]]:
    return [each for each in alarm.properties.get("Metrics", ()) if "MetricStat" in each]


def _period_s(alarm: Resource) -> str:
    found = alarm.properties.get("Period") or _stats(alarm)[0]["MetricStat"]["Period"]
    return str(found)
