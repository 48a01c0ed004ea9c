"""Metrics as lines of a log, which CloudWatch reads by itself: it needs no right and no call.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from comfyq.ports.clock import Clock
from comfyq.telemetry.metrics import Gauge, Histogram, Labels, Metric, Number
from comfyq.telemetry.numbers import NUMBERS

NAMESPACE = "comfyq"
DIMENSION = "Table"  # tells the deployments of an account apart
MOST_VALUES = 100  # of a metric in one line
PERIOD_S = 60.0  # CloudWatch keeps metrics by the minute

Value = float | list[float]


def metric_line(now: datetime, dimensions: Mapping[str, str], values: Mapping[str, Value]) -> str:
    """Return one line of metrics that share their dimensions."""
    metrics = [{"Name": name, "Unit": _unit(name)} for name in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": metrics}
    about = {
        "Timestamp": int(now.timestamp() * 1000),
        "CloudWatchMetrics": [directive],
    }
    return json.dumps({"_aws": about, **dimensions, **values}, separators=(",", ":"))


class EmbeddedMetrics:
    """Write what this process has counted since it wrote last; ``emit`` takes a line."""

    def __init__(
        self,
        *,
        clock: Clock,
        table: str,
        emit: Callable[[str], None],
        metrics: Sequence[Metric] = NUMBERS,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._table = table
        self._emit = emit
        self._written: dict[tuple[str, Labels], float] = {}
        for metric in metrics:
            if isinstance(metric, Histogram):
                metric.keeps_values = True

    def write(self) -> None:
        """Write the news of the process's own metrics."""
        self._write(self._news)

    def write_state(self, gauges: Sequence[Gauge]) -> None:
        """Write gauges as they are, also those that are 0 still."""
        self._write(lambda: ((gauge, *each) for gauge in gauges for each in gauge.values()))

    async def run(self) -> None:
        """Write the news each minute until canceled, and then what is left."""
        try:
            while True:
                await asyncio.sleep(PERIOD_S)
                self.write()
        finally:
            self.write()

    def _write(self, read: Callable[[], Iterator[tuple[Metric, Labels, Value]]]) -> None:
        lines: dict[tuple[Labels, Labels], dict[str, Value]] = {}
        now = self._clock.now()
        for metric, labels, value in read():
            same = lines.setdefault((metric.labels, labels), {})
            same[metric.name] = value
            if isinstance(value, list) and len(value) > MOST_VALUES:
                same[metric.name] = value[:MOST_VALUES]
                for start in range(MOST_VALUES, len(value), MOST_VALUES):
                    more = {metric.name: value[start : start + MOST_VALUES]}
                    self._emit(metric_line(now, self._dimensions(metric.labels, labels), more))
        for (names, labels), values in lines.items():
            self._emit(metric_line(now, self._dimensions(names, labels), values))

    def _dimensions(self, names: Labels, labels: Labels) -> dict[str, str]:
        return {DIMENSION: self._table, **dict(zip(names, labels, strict=True))}

    def _news(self) -> Iterator[tuple[Metric, Labels, Value]]:
        for metric in self._metrics:
            if isinstance(metric, Histogram):
                yield from _observed(metric)
            else:
                yield from self._changed(metric)

    def _changed(self, metric: Number) -> Iterator[tuple[Metric, Labels, Value]]:
        """Yield gauges that are or were not 0, and by how much other numbers have grown."""
        for labels, value in metric.values():
            before = self._written.get((metric.name, labels), 0.0)
            self._written[metric.name, labels] = value
            if isinstance(metric, Gauge):
                if value or before:
                    yield metric, labels, value
            elif value != before:
                yield metric, labels, value - before


def _observed(metric: Histogram) -> Iterator[tuple[Metric, Labels, Value]]:
    for labels, series in metric.values():
        values, series.unwritten = series.unwritten, []
        if values:
            yield metric, labels, values


def _unit(name: str) -> str:
    return "Seconds" if "_seconds" in name else "Count"
