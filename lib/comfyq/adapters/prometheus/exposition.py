"""A process's metrics as Prometheus scrapes them: https://prometheus.io/docs/instrumenting/exposition_formats/"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from comfyq.telemetry.metrics import Gauge, Histogram, Metric

Source = Callable[[], Iterable[Metric]]


class Exposition(Collector):
    """Collect the metrics of ``source`` anew for each scrape, and those of the process itself."""

    def __init__(self, source: Source, *, version: str) -> None:
        self._source = source
        self._version = version

    def collect(self) -> Iterator[Family]:
        yield InfoMetricFamily("comfyq_build", "The version.", value={"version": self._version})
        for metric in self._source():
            yield _family(metric)


def registry_of(source: Source, *, version: str) -> CollectorRegistry:
    """Make what prometheus_client's own server serves."""
    registry = CollectorRegistry()
    registry.register(Exposition(source, version=version))
    ProcessCollector(registry=registry)
    return registry


def exposed(source: Source, *, version: str, accept: str) -> tuple[bytes, str]:
    """Return the metrics, and their media type, in the format that ``accept`` wants."""
    encode, content_type = choose_encoder(accept)
    return encode(registry_of(source, version=version)), content_type


def _family(metric: Metric) -> Family:
    labels: Sequence[str] = metric.labels
    if isinstance(metric, Histogram):
        histogram = HistogramMetricFamily(metric.name, metric.text, labels=labels)
        bounds = [*(str(float(each)) for each in metric.bounds), "+Inf"]
        for values, series in metric.values():
            counts = zip(bounds, accumulate(series.counts), strict=True)
            histogram.add_metric(values, buckets=list(counts), sum_value=series.sum)
        return histogram
    kind = GaugeMetricFamily if isinstance(metric, Gauge) else CounterMetricFamily
    family = kind(metric.name, metric.text, labels=labels)
    for values, value in metric.values():
        family.add_metric(values, value)
    return family
