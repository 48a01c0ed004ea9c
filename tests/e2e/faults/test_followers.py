"""Connections break and frames come twice or late: who follows a job is told its right end, and
never that it went back."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.faults.client import Json, until
from tests.e2e.faults.comfy import Simulated
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab
from tests.e2e.faults.ownership import Owned, owned
from tests.e2e.faults.watching import Enough, SubscribedWatch, Watch, watches

COMPLETED = {"port": "notifier", "call": "post", "about": '"status":"completed"'}
DOUBLED = {"port": "notifier", "call": "post", "do": "repeat", "times": 0}
LATE = {"port": "notifier", "call": "post", "do": "late", "seconds": 0.6, "times": 0, "every": 3}


@pytest.fixture
def system(backend: str, workflows: Path, tmp_path: Path) -> Iterator[Owned]:
    with owned(tmp_path, backend=backend, workflows=workflows) as system:
        yield system


def beyond(frame: Json, progress: float) -> bool:
    return bool(frame["progress"] > progress)


def all_read(clients: list[Watch], enough: Enough) -> None:
    """Let each connect until it was shown enough, at the same time as the others."""
    with ThreadPoolExecutor(len(clients)) as threads:
        list(threads.map(lambda client: client.read(enough), clients))


def all_end(clients: list[Watch]) -> None:
    """Let each read to the end."""
    all_read(clients, lambda _: False)
    for client in clients:
        assert client.end == "completed"
        client.check()


@pytest.mark.parametrize(
    "back",
    [
        pytest.param("in mid-job", id="in-mid-job"),
        pytest.param("after its end", id="after-its-end", marks=pytest.mark.verify),
    ],
)
def test_the_server_dies_and_comes_back(back: str, system: Owned, record: Record) -> None:
    """The worker is another process, which goes on; nobody can be told anything meanwhile."""
    up = system.up()
    lab = system.lab(up)
    try:
        simulator = lab.simulator()
        lab.worker(simulator)
        job = lab.client.submit(seconds=4.0 if back == "in mid-job" else 1.5, ticks=40)
        clients = watches(up.url, job)
        all_read(clients, lambda frame: beyond(frame, 0.1))
        up.kill()
        died = time.monotonic()
        if back == "after its end":
            until(lambda: simulator.renders(job) == 1, "the job has ended")
        again = system.up(port=int(up.url.rpartition(":")[2]))
        assert again.url == up.url
        if back == "in mid-job":
            assert lab.client.show(job)["status"] == "running"
        all_read(clients, lambda _: True)
        shown = time.monotonic()
        all_end(clients)
        story = lab.client.story(job)
        assert [attempt["verdict"] for attempt in story["attempts"]] == ["succeeded"]
        assert all(client.connections > 1 for client in clients)
        record(f"API killed in mid-job, back {back} (until followers are told)", shown - died)
    finally:
        lab.close()


def test_clients_come_back_at_every_point(lab: Lab, simulator: Simulated, record: Record) -> None:
    job = lab.client.submit(seconds=4.0, ticks=40)
    clients = watches(lab.up.url, job)
    all_read(clients, lambda frame: frame["status"] == "queued")
    lab.worker(simulator, faults=[{**COMPLETED, "do": "delay", "seconds": 2, "times": 0}])
    all_read(clients, lambda frame: frame["status"] == "running")
    all_read(clients, lambda frame: beyond(frame, 0.1))
    assert [client.end for client in clients] == [None] * len(clients)
    stays = lab.client.follower(job)
    lab.client.until(job, lambda now: now["status"] == "completed", "its end is stored")
    left = time.monotonic()
    all_end(clients)
    told = time.monotonic()
    assert stays.ended_at is None, "who came back was told by the announcement"
    stays.wait_end()
    all_end(watches(lab.up.url, job))
    lab.check(job, "completed", ["succeeded"])
    record("clients come back before the end is announced", told - left)


def test_posts_come_twice_and_late(lab: Lab, simulator: Simulated, record: Record) -> None:
    """Each third post is late, behind others, so that each of four followers has late ones; the
    rest come twice."""
    lab.worker(simulator, faults=[DOUBLED, LATE])
    job = lab.client.submit(seconds=2.5, ticks=50)
    clients = watches(lab.up.url, job)
    with ThreadPoolExecutor(1) as beside:
        reading = beside.submit(all_end, clients)
        lab.client.until(job, lambda now: now["status"] == "completed", "its end is stored")
        stored = time.monotonic()
        reading.result()
    told = time.monotonic()
    unsorted = next(each for each in clients if isinstance(each, SubscribedWatch))
    ages = [(frame["seq"], frame["progress"]) for frame in unsorted.received]
    assert ages != sorted(ages), "none came late"
    assert len(set(ages)) < len(ages), "none came twice"
    lab.check(job, "completed", ["succeeded"])
    shown = [frame["progress"] for frame in lab.client.follower(job).frames]
    assert shown == sorted(shown), "nothing older is sent on by the job's own socket"
    record("posts to sockets doubled, and every third one 0.6 s late", told - stored)
