"""A worker's clock is ten minutes off: lease times follow the store's clock.

On the embedded backend all processes share one machine's clock, so it has no such row.
"""

import pytest

from tests.e2e.faults.conftest import Record
from tests.e2e.faults.doorbells import Doorbells
from tests.e2e.faults.lab import Lab, new_name

TEN_MINUTES_S = 600
RUN_S = 5.0  # longer than a lease

pytestmark = [
    pytest.mark.verify,
    pytest.mark.parametrize("backend", ["emulator"], indirect=True),
    pytest.mark.parametrize("ahead_s", [TEN_MINUTES_S, -TEN_MINUTES_S], ids=["ahead", "behind"]),
]


def test_a_wrong_clock_takes_nobody_elses_job(ahead_s: int, lab: Lab, record: Record) -> None:
    """To a clock that is ahead, every lease has lapsed."""
    right, wrong = lab.simulator(), lab.simulator()
    lab.worker(right)
    job = lab.client.submit(seconds=RUN_S)
    lab.client.running(job)
    tempted = new_name("wrong")
    lab.worker(wrong, worker_id=tempted, env={"COMFYQ_CLOCK_AHEAD_S": str(ahead_s)})
    with Doorbells(lab.up.exports) as bells:
        bells.ring(job)
    other = lab.client.submit(seconds=0.1)
    lab.client.follower(other).wait_end()
    lab.client.follower(job).wait_end()
    for each, comfyui in ((job, right), (other, wrong)):
        story = lab.check(each, "completed", ["succeeded"])
        assert comfyui.renders(each) == 1, story
    assert lab.client.story(other)["attempts"][0]["worker"] == tempted
    record("clock of a worker ten minutes off, beside another's job", 0.0)


def test_a_wrong_clock_keeps_its_own_job(ahead_s: int, lab: Lab, record: Record) -> None:
    """To everybody else, a lease of a clock that is behind would have lapsed when it was taken."""
    wrong, right = lab.simulator(), lab.simulator()
    holder = new_name("wrong")
    lab.worker(wrong, worker_id=holder, env={"COMFYQ_CLOCK_AHEAD_S": str(ahead_s)})
    job = lab.client.submit(seconds=RUN_S)
    lab.client.running(job)
    lab.worker(right)
    with Doorbells(lab.up.exports) as bells:
        bells.ring(job)
    lab.client.follower(job).wait_end()
    story = lab.check(job, "completed", ["succeeded"])
    assert story["attempts"][0]["worker"] == holder
    assert (wrong.renders(job), right.renders(job)) == (1, 0)
    record("clock of a worker ten minutes off, with its own job", 0.0)
