"""A worker gets SIGKILL: another one ends its jobs, each once."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from comfyq.config import WorkerSettings
from tests.e2e.faults.client import until
from tests.e2e.faults.comfy import Simulated
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab, new_name

MOST_JOBS = 60

Rule = Mapping[str, Any]

TAKEN = "between receiving a message and the claim"
SUCCESS = '"status":"succeeded"'
CLAIM = '"claimed":'

POINTS: Mapping[str, Rule] = {
    TAKEN: {"port": "queue", "call": "take"},
    "before the claim": {"port": "table", "call": "write", "about": CLAIM, "when": "before"},
    "after the claim": {"port": "table", "call": "write", "about": CLAIM, "when": "after"},
    "before an upload": {"port": "assets", "call": "put", "about": "outputs/", "when": "before"},
    "after an upload": {"port": "assets", "call": "put", "about": "outputs/", "when": "after"},
    "before the finish": {"port": "table", "call": "write", "about": SUCCESS, "when": "before"},
    "after the finish": {"port": "table", "call": "write", "about": SUCCESS, "when": "after"},
    "after the acknowledgement": {"port": "queue", "call": "ack", "when": "after"},
    "before the announcement": {
        "port": "notifier",
        "call": "post",
        "about": '"status":"completed"',
        "when": "before",
    },
    "after the announcement": {
        "port": "notifier",
        "call": "post",
        "about": '"status":"completed"',
        "when": "after",
    },
}
IN_CI = {TAKEN, "after the claim", "before an upload", "after the finish"}


def _point(name: str) -> Any:
    marks = [] if name in IN_CI else [pytest.mark.verify]
    return pytest.param(name, id=name.replace(" ", "-"), marks=marks)


@pytest.mark.parametrize("point", [_point(name) for name in POINTS])
def test_killed_at_a_point_of_its_way(
    point: str, lab: Lab, simulator: Simulated, record: Record
) -> None:
    """Both workers share a ComfyUI, so what the dead one had it render is not rendered again."""
    doomed, other = new_name("doomed"), new_name("other")
    lab.worker(simulator, worker_id=other)
    victim = lab.worker(
        simulator,
        worker_id=doomed,
        faults=[{**POINTS[point], "do": "kill"}],
        env={"COMFYQ_VISIBILITY_S": f"{WorkerSettings().visibility_s:g}"} if point == TAKEN else {},
    )
    jobs = [lab.client.submit(seconds=0.3)]
    while not victim.has_ended_within(0.3):  # the other one may be faster a few times
        jobs.append(lab.client.submit(seconds=0.3))
        assert len(jobs) < MOST_JOBS, victim.log
    died = lab.died(victim)
    ended = [lab.client.follower(job).wait_end() for job in jobs]
    touched = []
    for job, at in zip(jobs, ended, strict=True):
        story = lab.check(job, "completed")
        assert simulator.renders(job) == 1, story
        tried = [attempt for attempt in story["attempts"] if attempt["worker"] == doomed]
        assert {attempt["verdict"] for attempt in tried} <= {"lost", "released", "succeeded"}, story
        if tried:
            touched.append(at)
    if point not in (TAKEN, "before the claim", "after the announcement"):
        assert touched, [lab.client.story(job)["attempts"] for job in jobs]
    record(f"worker SIGKILLed {point}", max(0.0, max(touched or ended) - died))


@pytest.mark.verify
def test_killed_while_it_runs_one_and_holds_another(
    lab: Lab, simulator: Simulated, record: Record
) -> None:
    victim = lab.worker(simulator, worker_id=(doomed := new_name("doomed")))
    # The emulator may give a doorbell to the long poll of a worker that an earlier test has killed:
    # it comes again after 3 s, when the first job has to run still.
    jobs = [lab.client.submit(seconds=6.0) for _ in range(2)]
    until(
        lambda: (
            sorted(lab.client.show(job)["status"] for job in jobs) == ["queued", "running"]
            and all(lab.client.show(job)["attempt"] == 1 for job in jobs)
        ),
        "one job runs, the other is claimed",
        otherwise=lambda: [lab.client.story(job) for job in jobs],
    )
    victim.kill()
    died = time.monotonic()
    lab.worker(simulator)
    ended = [lab.client.follower(job).wait_end() for job in jobs]
    stories = [lab.check(job, "completed") for job in jobs]
    verdicts = [[attempt["verdict"] for attempt in story["attempts"]] for story in stories]
    assert sorted(verdicts) in (
        [["lost", "succeeded"], ["released", "succeeded"]],  # the reaper was first to see its end
        [["lost", "succeeded"], ["lost", "succeeded"]],  # the other worker was
    )
    assert [story["failures"] for story in stories] == [0, 0]
    assert [story["attempts"][0]["worker"] for story in stories] == [doomed, doomed]
    assert [simulator.renders(job) for job in jobs] == [1, 1]
    record("worker SIGKILLed while running and queued in ComfyUI", max(ended) - died)


def test_killed_with_its_comfyui(lab: Lab, record: Record) -> None:
    """The whole machine goes: the job is rendered anew elsewhere, and that counts one failure."""
    machines = [(comfy := lab.simulator(), lab.worker(comfy)) for _ in range(2)]
    job = lab.client.submit(seconds=1.0)
    lab.client.running(job)
    [(lost, worker)] = [machine for machine in machines if machine[0].holds(job)]
    [(elsewhere, _)] = [machine for machine in machines if machine[0] is not lost]
    worker.kill()
    lost.kill()
    died = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "completed", ["lost", "succeeded"])
    assert (elsewhere.renders(job), story["failures"]) == (1, 1)
    record("worker and ComfyUI SIGKILLed while running", ended - died)


@pytest.mark.verify
def test_a_poison_job_ends(lab: Lab, record: Record) -> None:
    """A job that kills whoever starts it fails after three attempts; others are unharmed."""
    poisoned = {
        "port": "table",
        "call": "write",
        "about": '"status":"running"',
        "when": "after",
        "do": "kill",
    }
    job = lab.client.submit(seconds=60)
    died = 0.0
    for count in range(1, 4):
        # ComfyUI dies with its worker, so nothing is left to adopt.
        machine = lab.simulator()
        died = lab.died(lab.worker(machine, faults=[poisoned]))
        machine.kill()
        assert lab.client.show(job)["attempt"] == count
    healthy = lab.simulator()
    lab.worker(healthy)
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "failed", ["lost", "lost", "lost", "failed"])
    assert (story["failures"], story["error_code"]) == (3, "worker-lost")
    assert "attempt 3" in story["error"]
    assert healthy.renders(job) == 0
    neighbour = lab.client.submit(seconds=0.1)
    lab.check(neighbour, "completed", ["succeeded"])
    record("poison job: its third worker dies", ended - died)
