"""How fast jobs are taken while very many wait, by the number of workers."""

import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.scale.stores import Scene
from tests.bench.scale.tables import Row
from tests.job_copies import count_ended, count_waiting

MEASURE_S = 10.0


def waiting(scene: Scene, few: Path, many: Path, workers: Sequence[int]) -> Sequence[Row]:
    """Measure jobs a second beside few and many waiting jobs."""
    return [
        Row(f"workers: {count}; jobs/s", [_rate(scene, each, count) for each in (few, many)], 1)
        for count in workers
    ]


def _rate(scene: Scene, data_dir: Path, workers: int) -> float:
    with scene.served(data_dir, workers=workers) as up:
        first = count_ended(data_dir)
        while (before := count_ended(data_dir)) == first:
            time.sleep(0.05)
        began = time.monotonic()
        time.sleep(MEASURE_S)
        ended, passed = count_ended(data_dir), time.monotonic() - began
        assert count_waiting(data_dir), "no job was left to be taken"
        up.stop()
    return (ended - before) / passed
