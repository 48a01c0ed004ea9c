"""Three shapes of load over a day, and what a job of them takes."""

import math
import random
from collections.abc import Callable, Mapping, Sequence

from infra.scaling.model import Work

DAY_S = 86_400
JOB_S = 25.0  # a picture of 20 steps on an A10G, about
SPREAD = 0.35  # of the logarithm

Load = Callable[[random.Random], Sequence[float]]
"""Arrival times of a day, in seconds."""


def trickle(chance: random.Random) -> Sequence[float]:
    """A job every ten minutes, at any time of the day."""
    return _poisson(chance, lambda _: 1 / 600)


def office(chance: random.Random) -> Sequence[float]:
    """From eight to six, with up to five jobs a minute at noon."""
    return _poisson(chance, _office_rate)


def bursts(chance: random.Random) -> Sequence[float]:
    """A hundred jobs within a minute, three times a day."""
    starts = (9 * 3600, 13 * 3600, 20 * 3600)
    return sorted(start + chance.uniform(0, 60) for start in starts for _ in range(100))


LOADS: Mapping[str, Load] = {"trickle": trickle, "office": office, "bursts": bursts}


def jobs_of(load: Load, *, seed: int) -> list[Work]:
    chance = random.Random(seed)
    return [Work(at, JOB_S * chance.lognormvariate(0, SPREAD)) for at in load(chance)]


def _office_rate(at: float) -> float:
    """Jobs a second."""
    hour = at / 3600
    return 5 / 60 * math.sin(math.pi * (hour - 8) / 10) if 8 < hour < 18 else 0.0


def _poisson(chance: random.Random, rate: Callable[[float], float]) -> list[float]:
    """Arrivals by thinning: candidates at the highest rate, each kept by its time's."""
    most = max(rate(at) for at in range(0, DAY_S, 60))
    at, arrivals = 0.0, list[float]()
    while (at := at + chance.expovariate(most)) < DAY_S:
        if chance.random() < rate(at) / most:
            arrivals.append(at)
    return arrivals
