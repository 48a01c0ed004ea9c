"""Metrics in memory: sums, buckets, and a bound on their number."""

import time

import pytest

from comfyq.telemetry import metrics
from comfyq.telemetry.metrics import MOST_SERIES, Busy, Counter, Gauge, Histogram
from comfyq.telemetry.numbers import NUMBERS


def test_a_counter_adds_up_by_labels() -> None:
    counter = Counter("a_total", "What it counts.", "kind")
    for kind in ("x", "y", "x"):
        counter.add(kind)
    counter.add("y", by=2.5)
    assert dict(counter.values()) == {("x",): 2, ("y",): 3.5}


def test_a_metric_without_labels_is_there_before_it_is_counted() -> None:
    assert Counter("a_total", "What it counts.").values() == [((), 0)]
    gauge = Gauge("a", "What it is.")
    gauge.add()
    gauge.add(by=-1)
    assert gauge.values() == [((), 0)]


def test_too_many_combinations_are_counted_together() -> None:
    counter = Counter("a_total", "What it counts.", "kind", "name")
    histogram = Histogram("b", "What it measures.", "name", bounds=(1,))
    for number in range(MOST_SERIES + 20):
        counter.add("x", str(number))
        histogram.observe(0.5, str(number))
    assert len(counter.values()) == len(histogram.values()) == MOST_SERIES + 1
    assert dict(counter.values())["other", "other"] == 20
    assert dict(histogram.values())["other",].counts == [20, 0]
    counter.add("x", "0")
    assert dict(counter.values())["x", "0"] == 2


def test_a_histogram_counts_each_value_in_the_first_bucket_that_holds_it() -> None:
    histogram = Histogram("a", "What it measures.", bounds=(1, 10))
    for value in (0.5, 1, 1.5, 10, 11):
        histogram.observe(value)
    [(labels, series)] = histogram.values()
    assert (labels, series.counts, series.sum) == ((), [2, 2, 1], 24)


def test_time_at_work_is_summed_over_workers_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(metrics, "monotonic", lambda: now_s)
    busy = Busy("a_total", "What it measures.")
    now_s = 5
    busy.begin()
    now_s = 7
    busy.begin()
    now_s = 8
    assert busy.values() == [((), 4)]
    busy.end()
    busy.end()
    now_s = 20
    assert busy.values() == [((), 4)]


def test_time_at_work_is_real_time() -> None:
    busy = Busy("a_total", "What it measures.")
    busy.begin()
    began = time.monotonic()
    while time.monotonic() - began < 0.01:
        pass
    busy.end()
    [(_, worked_s)] = busy.values()
    assert worked_s >= 0.01


def test_every_metric_is_named_and_described_once() -> None:
    assert len({each.name for each in NUMBERS}) == len(NUMBERS)
    for each in NUMBERS:
        assert each.name.startswith("comfyq_")
        assert each.text.endswith(".")
        is_counter = not isinstance(each, Gauge | Histogram)
        assert each.name.endswith("_total") == is_counter, each.name
