"""The reference of metrics and alarms, from the template and the code that emits them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from comfyq import __version__
from comfyq.adapters.prometheus.exposition import registry_of
from comfyq.bootstrap.telemetry.measurements import TABLE_UP
from comfyq.edges.reaper.worker_count import METRIC
from comfyq.services.operations.backlog import BacklogReport
from comfyq.services.operations.embedded_metrics import DIMENSION, NAMESPACE
from comfyq.telemetry.metrics import Gauge, Histogram, Metric
from comfyq.telemetry.numbers import NUMBERS
from infra.checks.document import Document, Resource
from infra.docs.markdown import code, table, whole_page
from infra.docs.stack import template

INTRODUCTION = f"""\
Prometheus reads these from `GET /metrics` and from the port of each process, CloudWatch from the
logs of a stack with `EmbeddedMetrics`, in the namespace `{NAMESPACE}` and with the dimension
`{DIMENSION}` beside the labels: [how to](../how-to/monitor.md). A histogram in seconds has
`_bucket`, `_sum` and `_count`."""

OF_AWS = f"""\
The reaper's function emits one metric more each minute, in every stack: `{METRIC}`, the workers
that gave a sign of life. Everything else that alarms and dashboard are made of is AWS's own."""
OF_PROMETHEUS = """\
Prometheus reads these as well, and CloudWatch does not. Those of the process are there on Linux."""
EMPTY = BacklogReport(families={}, aside=0, held=0, live=0, ready=0, paused_receivers=0)

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
    return whole_page(
        "Metrics and alarms",
        INTRODUCTION,
        "## Of the deployment, read from its table",
        _metrics_table([Gauge("comfyq_table_up", TABLE_UP), *EMPTY.gauges()]),
        "## Of each process",
        _metrics_table(NUMBERS),
        OF_PROMETHEUS,
        table(("metric", "kind", "is"), list(_own_rows())),
        "## Alarms on AWS",
        OF_AWS,
        table(head, rows),
    )


def _metrics_table(metrics: Sequence[Metric]) -> str:
    rows = [
        (code(each.name), _kind(each), ", ".join(map(code, each.labels)), each.text)
        for each in metrics
    ]
    return table(("metric", "kind", "labels", "is"), rows)


def _own_rows() -> Iterator[Sequence[str]]:
    """Yield what each process shows of itself beside the numbers of comfyq."""
    for family in registry_of(lambda: (), version=__version__).collect():
        name = next(iter(family.samples)).name
        yield code(name), family.type, family.documentation


def _kind(metric: Metric) -> str:
    if isinstance(metric, Histogram):
        return "histogram"
    return "gauge" if isinstance(metric, Gauge) else "counter"


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
