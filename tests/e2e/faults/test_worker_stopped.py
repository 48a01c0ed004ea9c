"""A worker is told to stop, comes back, or is frozen and wakes up too late."""

import signal
import time

import pytest

from tests.e2e.faults.client import until
from tests.e2e.faults.comfy import Comfy, Simulated
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab, new_name, upload_delayed
from tests.e2e.faults.marks import also_real

UPLOAD_DELAYED = upload_delayed(1)


@pytest.mark.verify
@also_real
def test_sigterm_lets_the_running_job_finish(lab: Lab, comfy: Comfy, record: Record) -> None:
    """A job that ComfyUI has not begun goes to another worker at once."""
    first = lab.worker(comfy, worker_id=(name := new_name("first")), options=["--drain-s", 30])
    running = lab.client.submit(seconds=8.0)
    lab.client.running(running)
    waiting = lab.client.submit(seconds=0.1)
    lab.client.until(waiting, lambda job: job["attempt"] == 1, "claimed")
    lab.worker(comfy)
    stopped = time.monotonic()
    assert first.stop() == 0
    ended = [lab.client.follower(job).wait_end() for job in (running, waiting)]
    [attempt] = lab.check(running, "completed", ["succeeded"])["attempts"]
    assert attempt["worker"] == name
    lab.check(waiting, "completed", ["released", "succeeded"])
    assert [comfy.renders(job) for job in (running, waiting)] == [1, 1]
    record("worker SIGTERMed, and its running job ends within --drain-s", max(ended) - stopped)


@also_real
def test_sigterm_releases_what_does_not_finish(lab: Lab, comfy: Comfy, record: Record) -> None:
    """Interrupted, uncounted, and claimable at once: no lease has to lapse."""
    first = lab.worker(comfy, options=["--drain-s", 0.2])
    job = lab.client.submit(seconds=8.0, ticks=160)
    lab.client.running(job)
    lab.worker(comfy)
    first.signal(signal.SIGTERM)
    stopped = time.monotonic()
    lab.client.until(job, lambda now: now["attempt"] == 2, "claimed again")
    claimed = time.monotonic()
    assert first.wait() == 0
    story = lab.check(job, "completed", ["released", "succeeded"])
    assert (story["failures"], comfy.renders(job)) == (0, 1)
    assert story["attempts"][0]["reason"] == "its worker was stopped"
    record("worker SIGTERMed, and its running job does not end in time", claimed - stopped)


@also_real
@pytest.mark.parametrize(
    "away", ["while it runs", pytest.param("until it has finished", marks=pytest.mark.verify)]
)
def test_restarted_beside_its_comfyui(away: str, lab: Lab, comfy: Comfy, record: Record) -> None:
    """The prompt that its former process submitted is adopted: it is not rendered again."""
    name = new_name("back")
    former = lab.worker(comfy, worker_id=name)
    job = lab.client.submit(seconds=3.0 if away == "while it runs" else 0.7)
    lab.client.running(job)
    former.kill()
    if away == "until it has finished":
        until(lambda: not comfy.holds(job), "ComfyUI has finished it")
    lab.worker(comfy, worker_id=name)
    started = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "completed", ["lost", "succeeded"])
    assert [attempt["worker"] for attempt in story["attempts"]] == [name, name]
    assert (comfy.renders(job), story["failures"]) == (1, 0)
    record(f"worker restarted, away {away}", ended - started)


@also_real
def test_restarted_it_deletes_what_nobody_wants(lab: Lab, comfy: Comfy, record: Record) -> None:
    """The jobs were canceled while it was away; ComfyUI does not know."""
    name = new_name("back")
    former = lab.worker(comfy, worker_id=name)
    jobs = [lab.client.submit(seconds=30, ticks=300) for _ in range(2)]
    for job in jobs:
        lab.client.until(job, lambda now: now["attempt"] == 1, "claimed")
    until(lambda: all(comfy.holds(job) for job in jobs), "both are in ComfyUI")
    former.kill()
    for job in jobs:
        lab.client.cancel(job)
    for job in jobs:
        lab.check(job, "canceled")
    assert all(comfy.holds(job) for job in jobs)
    lab.worker(comfy, worker_id=name)
    back = time.monotonic()
    until(lambda: not any(comfy.holds(job) for job in jobs), "its orphaned prompts are gone")
    record("worker restarted, its orphaned prompts deleted", time.monotonic() - back)
    assert [comfy.renders(job) for job in jobs] == [0, 0]


def test_frozen_past_its_lease_and_woken(lab: Lab, record: Record) -> None:
    """Its job is another's by then: it stops its ComfyUI's work on it, and moves on."""
    slow, quick = lab.simulator("--step-s", 0.5), lab.simulator()
    frozen = lab.worker(slow, worker_id=(sleeper := new_name("frozen")))
    job = lab.client.submit("flux-dev", prompt="a fox", steps=150, width=64, height=64)
    lab.client.running(job)
    froze = lab.freeze(frozen)
    other = lab.worker(quick, worker_id=(helper := new_name("other")))
    ended = lab.client.follower(job).wait_end()
    record("worker frozen past its lease", ended - froze)
    frozen.signal(signal.SIGCONT)
    until(lambda: not slow.holds(job), "the woken worker has stopped its prompt")
    story = lab.check(job, "completed", ["lost", "succeeded"])
    assert [attempt["worker"] for attempt in story["attempts"]] == [sleeper, helper]
    assert (slow.renders(job), quick.renders(job)) == (0, 1)
    assert other.stop() == 0
    [attempt] = lab.check(lab.client.submit(seconds=0.1), "completed")["attempts"]
    assert attempt["worker"] == sleeper


@pytest.mark.verify
@also_real
def test_frozen_and_woken_while_another_goes_on_with_its_prompt(
    lab: Lab, comfy: Comfy, record: Record
) -> None:
    """Both drive one ComfyUI: the woken one leaves the prompt alone that is in use."""
    frozen = lab.worker(comfy, worker_id=(sleeper := new_name("frozen")))
    job = lab.client.submit(seconds=15.0, ticks=150)  # it still runs when the other has begun
    lab.client.running(job)
    froze = lab.freeze(frozen)
    lab.worker(comfy, worker_id=(helper := new_name("other")))
    lab.client.until(
        job, lambda now: (now["attempt"], now["status"]) == (2, "running"), "taken over"
    )
    taken_over = time.monotonic()
    frozen.signal(signal.SIGCONT)
    until(lambda: "lease_lost" in frozen.log, "the woken worker has given up")
    story = lab.check(job, "completed", ["lost", "succeeded"])
    assert [attempt["worker"] for attempt in story["attempts"]] == [sleeper, helper]
    assert (comfy.renders(job), story["failures"]) == (1, 0)
    record("worker frozen: another goes on with its prompt", taken_over - froze)


@pytest.mark.verify
def test_frozen_in_its_upload_and_woken(lab: Lab, simulator: Simulated, record: Record) -> None:
    """It would have stored a success: that write is refused, and its files are deleted."""
    frozen = lab.worker(simulator, worker_id=new_name("frozen"), faults=[UPLOAD_DELAYED])
    job = lab.client.submit(seconds=0.1)
    until(lambda: simulator.renders(job) == 1 and not simulator.holds(job), "it is rendered")
    froze = lab.freeze(frozen)
    assert lab.client.show(job)["status"] == "running", "it was stored too soon to be frozen"
    lab.worker(simulator)
    ended = lab.client.follower(job).wait_end()
    record("worker frozen in its upload: another stores the result", ended - froze)
    before = lab.check(job, "completed", ["lost", "succeeded"])
    frozen.signal(signal.SIGCONT)
    until(lambda: "lease_lost" in frozen.log, "the woken worker has given up")
    after = lab.check(job, "completed", ["lost", "succeeded"])
    # not `seq`: that the end was announced is noted after it
    kept = ("status", "attempts")  # an output has a link that is signed anew
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert simulator.renders(job) == 1
    lab.check(lab.client.submit(seconds=0.1), "completed", ["succeeded"])
