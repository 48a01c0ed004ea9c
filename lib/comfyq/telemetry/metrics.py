"""Metrics in the memory of this process: counting is an addition, and what exports them is
imported by those who ask.

A metric has labels, whose values the operator determines: workflows, operations, codes of errors.
Whatever else comes, a metric keeps at most ``MOST_SERIES`` combinations; further ones are counted
together as ``other``.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

MOST_SERIES = 500
OTHER = "other"

Labels = tuple[str, ...]


class Described:
    """A metric's name, what it is, and what tells its numbers apart."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self.name = name
        self.text = text  # its description, a sentence
        self.labels = labels


class Number(Described, ABC):
    """A metric that is one number for each combination of labels."""

    @abstractmethod
    def values(self) -> Sequence[tuple[Labels, float]]:
        """Return a copy of the numbers: another thread may export them."""


class Counter(Number):
    """A number that grows; its name ends in ``_total``."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        super().__init__(name, text, *labels)
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def add(self, *labels: str, by: float = 1.0) -> None:
        values = self._values
        if labels not in values:
            labels = _bounded(labels, known=len(values))
            values.setdefault(labels, 0.0)
        values[labels] += by

    def values(self) -> Sequence[tuple[Labels, float]]:
        return list(self._values.items())


class Gauge(Counter):
    """A number that grows and shrinks."""


class Busy(Number):
    """Seconds of work, summed over those who work at the same time; goes on while they do."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self._at_work = 0
        self._sum_s = 0.0
        self._since = monotonic()

    def begin(self) -> None:
        self._settle()
        self._at_work += 1

    def end(self) -> None:
        self._settle()
        self._at_work -= 1

    def values(self) -> Sequence[tuple[Labels, float]]:
        return [((), self._sum_s + self._at_work * (monotonic() - self._since))]

    def _settle(self) -> None:
        now = monotonic()
        self._sum_s += self._at_work * (now - self._since)
        self._since = now


@dataclass(slots=True)
class Distribution:
    """Observed values by bucket; the last bucket has what is over every bound."""

    counts: list[int]
    sum: float = 0.0
    unwritten: list[float] = field(default_factory=list)  # if the metric keeps them


class Histogram(Described):
    """Observed values, counted in buckets up to each of ``bounds``."""

    def __init__(self, name: str, text: str, *labels: str, bounds: Sequence[float]) -> None:
        super().__init__(name, text, *labels)
        self.bounds = tuple(bounds)
        self.keeps_values = False  # for an exporter that writes them one by one
        self._series: dict[Labels, Distribution] = {}

    def observe(self, value: float, *labels: str) -> None:
        series = self._series.get(labels)
        if series is None:
            labels = _bounded(labels, known=len(self._series))
            empty = Distribution([0] * (len(self.bounds) + 1))
            series = self._series.setdefault(labels, empty)
        series.counts[bisect_left(self.bounds, value)] += 1
        series.sum += value
        if self.keeps_values:
            series.unwritten.append(value)

    def values(self) -> Sequence[tuple[Labels, Distribution]]:
        return list(self._series.items())


Metric = Number | Histogram


def _bounded(labels: Labels, *, known: int) -> Labels:
    """Return the labels under which a new combination is counted."""
    return labels if known < MOST_SERIES else (OTHER,) * len(labels)
