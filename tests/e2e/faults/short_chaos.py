"""One short run of the chaos; `make chaos` makes long ones.

Each backend has a test file of its own, since files of tests are what runs beside each other.
"""

from pathlib import Path

from tests.e2e.faults import chaos
from tests.e2e.faults.conftest import Record

SEED = 20
SECONDS = 9.0
JOBS = 27
FEW = 3  # events; a busy machine comes to few in that time


def nothing_is_lost_and_nothing_twice(backend: str, workflows: Path, record: Record) -> None:
    print(f"seed {SEED}")
    tally = chaos.run(backend, jobs=JOBS, seconds=SECONDS, seed=SEED, workflows=workflows)
    print(chaos.summary(backend, SEED, tally))
    assert not tally.broken
    assert len(tally.accepted) == JOBS
    assert sum(tally.events.values()) > FEW, "little happened"
    assert tally.attempts > JOBS / 2, "little was rendered"
    record(f"random faults for {SECONDS:g} s, {JOBS} jobs", tally.recovery_s)
