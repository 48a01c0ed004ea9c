"""Table, queue or storage answer with errors or not at all while jobs run: that costs time only."""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import pstdev
from typing import Any

import pytest
import requests

from tests.e2e.faults.client import CALL_S, until
from tests.e2e.faults.comfy import Simulated
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab
from tests.e2e.faults.ownership import Owned, owned
from tests.fixtures.faulty_proxy import Deed, Fault, FaultyProxy, Service

JOBS = 3  # one runs, one is in ComfyUI's queue behind it, one waits
LONG_S, SHORT_S = 20.0, 5.0
LEASE = {"COMFYQ_LEASE_S": "60", "COMFYQ_RENEW_S": "1"}  # of seconds, as 120 s are of an outage
MOST_CALLS_A_SECOND = 40  # of all processes of a system that nobody answers

EVERYTHING: tuple[Service, ...] = ("table", "queue", "assets")
OUTAGES: Mapping[str, tuple[Deed, tuple[Service, ...], float]] = {
    "table 5xx": ("error", ("table",), LONG_S),
    "queue 5xx": ("error", ("queue",), LONG_S),
    "assets 5xx": ("error", ("assets",), LONG_S),
    "everything silent": ("silent", EVERYTHING, LONG_S),
    "everything throttled": ("throttle", EVERYTHING, SHORT_S),
    "table in conflict": ("conflict", ("table",), SHORT_S),
    "answers lost": ("lose", ("table",), SHORT_S),
}

Rule = Mapping[str, Any]


def _rules(port: str, *calls: str, times: int) -> Sequence[Rule]:
    return [{"port": port, "call": call, "do": "raise", "at": 3, "times": times} for call in calls]


RAISING: Mapping[str, Sequence[Rule]] = {
    "table": [
        *_rules("table", "get", "write", times=6),
        {"port": "table", "call": "write", "do": "raise", "when": "after", "at": 12, "times": 2},
    ],
    "queue": _rules("queue", "receive", "ack", "hide", times=3),
    "assets": [{"port": "assets", "call": "put", "do": "raise", "times": 4}],
    "notifier": [{"port": "notifier", "call": "post", "do": "raise", "times": 5}],
}


@pytest.fixture
def system(backend: str, workflows: Path, tmp_path: Path) -> Iterator[Owned]:
    with owned(tmp_path, backend=backend, workflows=workflows) as system:
        yield system


def begun(lab: Lab, *, seconds: float = 2.0) -> list[str]:
    """Jobs, the first of which runs; whoever follows them is known to do so."""
    jobs = [lab.client.submit(seconds=seconds) for _ in range(JOBS)]
    until(lambda: all(lab.client.follower(job).frames for job in jobs), "they are followed")
    until(lambda: any(lab.client.show(job)["status"] == "running" for job in jobs), "a job runs")
    return jobs


def ended_once(lab: Lab, simulator: Simulated, jobs: Sequence[str]) -> float:
    """Each was rendered once, and if it was claimed again, then since the answer to a claim got
    lost (the same worker takes what is its own at once), or since the outage ended its preparation:
    it was given back before ComfyUI began it."""
    ended = max(lab.client.follower(job).wait_end() for job in jobs)
    for job in jobs:
        story = lab.check(job, "completed")
        *lost, won = story["attempts"]
        assert won["verdict"] == "succeeded"
        assert {each["verdict"] for each in lost} <= {"lost", "released"}, story
        assert not any(each["started_at"] for each in lost), story
        assert simulator.renders(job) == 1
    return ended


@pytest.mark.verify
@pytest.mark.timeout(240)
@pytest.mark.parametrize("backend", ["emulator"], indirect=True)
@pytest.mark.parametrize("outage", OUTAGES, ids=[name.replace(" ", "-") for name in OUTAGES])
def test_a_service_is_away(outage: str, system: Owned, record: Record) -> None:
    deed, services, seconds = OUTAGES[outage]
    up = system.up(env=LEASE)
    lab = system.lab(up)
    try:
        simulator = lab.simulator()
        lab.worker(simulator, env=LEASE)
        jobs = begun(lab)
        began = time.monotonic()
        system.proxy.break_(*(Fault(service, deed) for service in services))
        if (deed, services) == ("error", ("table",)):
            refused(up.url)
        until(lambda: time.monotonic() - began > seconds, "the outage is over", within_s=90)
        system.proxy.heal()
        healed = time.monotonic()
        ended = ended_once(lab, simulator, jobs)
        assert_patience(system.proxy, healed - began)
        listed = requests.get(f"{up.url}/generate", timeout=CALL_S).json()["jobs"]
        assert sorted(job["id"] for job in listed) == sorted(jobs), "and nothing else was accepted"
    finally:
        system.proxy.heal()
        lab.close()
    record(f"{outage} for {seconds:g} s (from its end)", max(0.0, ended - healed))


def refused(url: str) -> None:
    """A submission is refused for now, in words and in time."""
    answer = requests.post(f"{url}/generate", json={"workflow": "nap"}, timeout=30)
    assert answer.status_code == 503
    assert answer.json()["code"] == "table-unavailable"
    assert int(answer.headers["Retry-After"]) > 0


def assert_patience(proxy: FaultyProxy, seconds: float) -> None:
    """Whoever is refused waits before it asks again, and not always as long."""
    times = [at for at, _ in proxy.struck]
    assert times, "the outage hit nobody"
    assert len(times) < MOST_CALLS_A_SECOND * seconds
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) < 2 or pstdev(gaps) > 0


@pytest.mark.parametrize(
    "port",
    [
        pytest.param(port, marks=[] if port == "assets" else [pytest.mark.verify])
        for port in RAISING
    ],
)
def test_a_port_of_the_worker_fails_a_few_times(
    port: str, lab: Lab, simulator: Simulated, record: Record
) -> None:
    jobs = [lab.client.submit(seconds=0.3) for _ in range(JOBS)]
    until(lambda: all(lab.client.follower(job).frames for job in jobs), "they are followed")
    began = time.monotonic()
    lab.worker(simulator, faults=RAISING[port], env=LEASE)
    record(f"{port} fails a few times", ended_once(lab, simulator, jobs) - began)
