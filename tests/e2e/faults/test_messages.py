"""Doorbells come twice, in any order, late, never, or die: every job runs, and runs once."""

import time
from collections.abc import Iterator

import pytest
import requests

from tests.e2e.faults.client import CALL_S, until
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.doorbells import Doorbells
from tests.e2e.faults.lab import Lab

JOBS = 5
WAITING = 20
AGAIN = 3  # times that the reaper sends doorbells of the same waiting jobs


@pytest.fixture
def bells(lab: Lab) -> Iterator[Doorbells]:
    with Doorbells(lab.up.exports) as bells:
        yield bells


def submitted(lab: Lab, count: int = JOBS) -> list[str]:
    jobs = [lab.client.submit(seconds=0.05) for _ in range(count)]
    until(lambda: all(lab.client.follower(job).frames for job in jobs), "they are followed")
    return jobs


def run_once_each(lab: Lab, jobs: list[str], *, workers: int = 2) -> float:
    """Start workers on one ComfyUI; when all jobs had ended, each rendered by one attempt."""
    simulator = lab.simulator()
    for _ in range(workers):
        lab.worker(simulator)
    ended = max(lab.client.follower(job).wait_end() for job in jobs)
    for job in jobs:
        lab.check(job, "completed", ["succeeded"])
        assert simulator.renders(job) == 1
    return ended


@pytest.mark.verify
def test_every_doorbell_comes_twice(lab: Lab, bells: Doorbells, record: Record) -> None:
    jobs = submitted(lab)
    for job in jobs:
        bells.ring(job)
    began = time.monotonic()
    record("every message delivered twice", run_once_each(lab, jobs) - began)


@pytest.mark.verify
def test_doorbells_come_out_of_order(lab: Lab, bells: Doorbells, record: Record) -> None:
    jobs = submitted(lab)
    for delivery in reversed(bells.take(jobs)):
        bells.hide(delivery, 0)
    began = time.monotonic()
    record("messages out of order", run_once_each(lab, jobs) - began)


@pytest.mark.verify
def test_doorbells_come_after_their_visibility(lab: Lab, bells: Doorbells, record: Record) -> None:
    """Whoever received them is gone; they come again, and some were rung for meanwhile."""
    jobs = submitted(lab)
    bells.take(jobs)
    for job in jobs[::2]:
        bells.ring(job)
    began = time.monotonic()
    record("messages delayed past their visibility", run_once_each(lab, jobs) - began)


def test_doorbells_are_lost(lab: Lab, bells: Doorbells, record: Record) -> None:
    """The reaper rings again for what has waited for an hour; the hour passes in the table."""
    jobs = submitted(lab)
    for delivery in bells.take(jobs):
        bells.lose(delivery)
    lost = time.monotonic()
    for job in jobs:
        bells.an_hour_passes(job)
    record("messages lost (from when a new ring is due)", run_once_each(lab, jobs) - lost)


@pytest.mark.verify
def test_a_doorbell_dies(lab: Lab, bells: Doorbells, record: Record) -> None:
    """It was received ten times and never acknowledged: it is kept, and its job rung for again."""
    [job] = submitted(lab, 1)
    bells.kill(job)
    died = time.monotonic()
    until(lambda: job in requests.get(f"{lab.up.url}/dead", timeout=CALL_S).text, "it is buried")
    record("message dead-lettered", run_once_each(lab, [job]) - died)


@pytest.mark.verify
def test_doorbells_do_not_multiply(lab: Lab, bells: Doorbells, record: Record) -> None:
    """Whoever rings again does not know whether the old doorbell is there still.

    On one machine a job has one, however often it is rung for. SQS keeps each message that it is
    sent, so there a job is rung for once in an hour or more, and not at each look of the reaper.
    """
    jobs = submitted(lab, WAITING)
    aged = jobs if lab.backend == "embedded" else jobs[:1]
    for _ in range(AGAIN):
        for job in aged:
            bells.an_hour_passes(job)
        until(lambda: all(map(bells.is_rung, aged)), "the reaper has rung again")
    expected = dict.fromkeys(jobs, 1)
    if lab.backend != "embedded":
        expected |= dict.fromkeys(aged, 1 + AGAIN)
    assert bells.lie_for(jobs) == expected
    began = time.monotonic()
    ended = run_once_each(lab, jobs)
    record(f"doorbells of {WAITING} jobs sent {AGAIN} times more: none too many", ended - began)
