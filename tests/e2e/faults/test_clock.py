"""A worker's clock is ten minutes off: lease times follow the store's clock.

On the embedded backend all processes share one machine's clock, so it has no such row.
"""

import pytest

from tests.e2e.faults.conftest import Record
from tests.e2e.faults.doorbells import Doorbells
from tests.e2e.faults.lab import Lab, new_name
from tests.faulty_process import CLOCK_AHEAD_S

TEN_MINUTES_S = 600
RUN_S = 5.0  # longer than a lease
RINGS = 3


@pytest.mark.verify
@pytest.mark.parametrize("backend", ["emulator"], indirect=True)
@pytest.mark.parametrize("ahead_s", [TEN_MINUTES_S, -TEN_MINUTES_S], ids=["ahead", "behind"])
def test_a_wrong_clock_runs_nothing_twice(ahead_s: int, lab: Lab, record: Record) -> None:
    """Each of two workers runs a job that the other hears of again and again.

    To a clock that is ahead, every lease would have lapsed; and to the others, a lease from a clock
    that is behind would have lapsed when it was taken.
    """
    machines, names = [lab.simulator(), lab.simulator()], [new_name("right"), new_name("wrong")]
    for machine, name, wrong_s in zip(machines, names, (0, ahead_s), strict=True):
        env = {CLOCK_AHEAD_S: str(wrong_s)}
        lab.worker(machine, worker_id=name, options=("--depth", 1), env=env)
    jobs = [lab.client.submit(seconds=RUN_S) for _ in names]
    for job in jobs:
        lab.client.running(job)
    with Doorbells(lab.up.exports) as bells:
        for job in jobs * RINGS:
            bells.ring(job)
    for job in jobs:
        lab.client.follower(job).wait_end()
    stories = [lab.check(job, "completed", ["succeeded"]) for job in jobs]
    assert {story["attempts"][0]["worker"] for story in stories} == set(names)
    for job in jobs:
        assert sum(machine.renders(job) for machine in machines) == 1
    record(f"clock of a worker ten minutes {'ahead' if ahead_s > 0 else 'behind'}", 0.0)
