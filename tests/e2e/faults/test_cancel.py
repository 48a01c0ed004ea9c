"""A job is canceled, in whatever phase: once, twice, by two clients at once."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.faults.client import Json, until
from tests.e2e.faults.comfy import Comfy, Simulated
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab, new_name, upload_delayed
from tests.e2e.faults.marks import also_real, also_real_slow

CLAIM_DELAYED = {
    "port": "table",
    "call": "write",
    "about": '"claimed":',
    "when": "after",
    "do": "delay",
    "seconds": 1.5,
}
STEP_AWAITED = "waiting for ComfyUI to finish the step that it was asked to stop, since "
UPLOAD_DELAYED = upload_delayed(3)


def _is_requested(answer: tuple[int, Json]) -> bool:
    code, job = answer
    return code == 202 and bool(job["cancel_requested"])


def test_while_it_is_queued(lab: Lab, record: Record) -> None:
    job = lab.client.submit()
    asked = time.monotonic()
    assert _is_requested(lab.client.cancel(job))
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "canceled", [])
    record("cancel while queued", ended - asked)
    code, again = lab.client.cancel(job)
    assert (code, again["status"], again["seq"]) == (200, "canceled", story["seq"])


@pytest.mark.verify
@also_real
def test_while_it_is_claimed(lab: Lab, comfy: Comfy, record: Record) -> None:
    """It waits in ComfyUI behind another job, which goes on."""
    lab.worker(comfy)
    before = lab.client.submit(seconds=2.0)
    lab.client.running(before)
    job = lab.client.submit(seconds=1.0)
    lab.client.until(job, lambda now: now["attempt"] == 1, "claimed")
    asked = time.monotonic()
    assert _is_requested(lab.client.cancel(job))
    ended = lab.client.follower(job).wait_end()
    lab.check(job, "canceled", ["canceled"])
    record("cancel while claimed", ended - asked)
    lab.check(before, "completed", ["succeeded"])
    assert (comfy.renders(job), comfy.renders(before)) == (0, 1)


@pytest.mark.verify
def test_between_claim_and_submission(lab: Lab, simulator: Simulated, record: Record) -> None:
    lab.worker(simulator, faults=[CLAIM_DELAYED])
    job = lab.client.submit(seconds=1.0)
    lab.client.until(job, lambda now: now["attempt"] == 1, "claimed")
    asked = time.monotonic()
    assert _is_requested(lab.client.cancel(job))
    ended = lab.client.follower(job).wait_end()
    lab.check(job, "canceled", ["canceled"])
    record("cancel between claim and submission", ended - asked)
    assert simulator.renders(job) == 0
    lab.check(lab.client.submit(seconds=0.1), "completed", ["succeeded"])


@also_real
def test_while_it_runs_by_two_clients(lab: Lab, comfy: Comfy, record: Record) -> None:
    """Both are told the same, and the neighbour at depth 2 is not touched."""
    lab.worker(comfy)
    job = lab.client.submit(seconds=30.0, ticks=300)
    neighbour = lab.client.submit(seconds=0.3)
    lab.client.running(job)
    lab.client.until(neighbour, lambda now: now["attempt"] == 1, "claimed")
    asked = time.monotonic()
    with ThreadPoolExecutor(2) as clients:
        answers = list(clients.map(lab.client.cancel, [job, job]))
    assert all(_is_requested(answer) for answer in answers), answers
    ended = lab.client.follower(job).wait_end()
    lab.check(job, "canceled", ["canceled"])
    record("cancel while running", ended - asked)
    until(lambda: not comfy.holds(job), "out of ComfyUI")
    lab.check(neighbour, "completed", ["succeeded"])
    assert (comfy.renders(job), comfy.renders(neighbour)) == (0, 1)


@also_real_slow
def test_a_sampler_stops_before_its_next_two_steps(
    lab: Lab, slow_comfy: Comfy, record: Record
) -> None:
    lab.worker(slow_comfy)
    job = lab.client.submit("flux-dev", prompt="a fox", steps=40, width=768, height=768)
    frames = lab.client.follower(job).frames
    until(lambda: any(frame["step"] >= 2 for frame in frames), "it samples")
    asked, step = time.monotonic(), frames[-1]["step"]
    assert _is_requested(lab.client.cancel(job))
    ended = lab.client.follower(job).wait_end()
    lab.check(job, "canceled", ["canceled"])
    record("cancel while sampling", ended - asked)
    assert max(frame["step"] for frame in frames) < step + 2
    assert not slow_comfy.holds(job)
    assert slow_comfy.renders(job) == 0


@also_real
def test_during_a_slow_step(lab: Lab, comfy: Comfy, record: Record) -> None:
    """A step that heeds nothing for longer than ``stop_s``: the job ends at once, its worker waits
    for the step, says so, and goes on."""
    name = new_name("slow")
    worker = lab.worker(comfy, worker_id=name)
    job = lab.client.submit(seconds=9.0, ticks=1)
    lab.client.running(job)
    assert _is_requested(lab.client.cancel(job))
    lab.client.follower(job).wait_end()
    assert comfy.holds(job)
    lab.check(job, "canceled", ["canceled"])
    waiting = lab.client.submit(seconds=0.1)
    until(lambda: STEP_AWAITED in lab.reason(name), "the worker says what it waits for")
    health = lab.client.health()
    assert (health["status"], health["comfyui_available"]) == ("degraded", True)
    assert STEP_AWAITED in health["reason"]
    assert comfy.holds(job)
    assert lab.client.show(waiting)["attempt"] == 0
    until(lambda: not comfy.holds(job), "the step is over")
    over = time.monotonic()
    ended = lab.client.follower(waiting).wait_end()
    lab.check(waiting, "completed", ["succeeded"])
    record("cancel during a slow step: the worker goes on", ended - over)
    until(lambda: lab.client.health()["status"] == "healthy", "healthy")
    assert "worker_latched" not in worker.log
    assert (comfy.renders(job), comfy.renders(waiting)) == (0, 1)


def test_in_a_comfyui_that_is_slow_to_answer(
    lab: Lab, simulator: Simulated, record: Record
) -> None:
    """It has the requests to stop at once, and slow answers do not count as a hang."""
    worker = lab.worker(simulator, env={"COMFYQ_STOP_S": "15", "COMFYQ_SILENT_S": "10"})
    jobs = [lab.client.submit(seconds=60.0, ticks=600) for _ in range(2)]
    for job in jobs:
        lab.client.until(job, lambda now: now["attempt"] == 1, "claimed")
    simulator.fault(slow_http_s=3)
    asked = time.monotonic()
    for job in jobs:
        assert _is_requested(lab.client.cancel(job))
    for job in jobs:
        lab.client.follower(job).wait_end()
        lab.check(job, "canceled", ["canceled"])
    last = lab.client.submit(seconds=0.1)
    lab.client.until(last, lambda now: now["attempt"] == 1, "claimed")
    record("cancel in a ComfyUI that takes 3 s an answer: free", time.monotonic() - asked)
    assert "worker_latched" not in worker.log
    simulator.fault(slow_http_s=0)
    lab.check(last, "completed", ["succeeded"])
    assert [simulator.renders(job) for job in jobs] == [0, 0]


@pytest.mark.verify
def test_while_it_uploads(lab: Lab, simulator: Simulated, record: Record) -> None:
    """A job whose cancel was requested ends canceled, whatever else has happened."""
    lab.worker(simulator, faults=[UPLOAD_DELAYED])
    job = lab.client.submit(seconds=0.1)
    until(lambda: simulator.renders(job) == 1 and not simulator.holds(job), "it is rendered")
    asked = time.monotonic()
    assert _is_requested(lab.client.cancel(job))
    ended = lab.client.follower(job).wait_end()
    lab.check(job, "canceled", ["canceled"])
    record("cancel while uploading", ended - asked)


@pytest.mark.verify
def test_after_its_end(lab: Lab, simulator: Simulated, record: Record) -> None:
    lab.worker(simulator)
    job = lab.client.submit(seconds=0.1)
    before = lab.check(job, "completed", ["succeeded"])
    asked = time.monotonic()
    for _ in range(2):
        code, view = lab.client.cancel(job)
        assert (code, view["status"], view["cancel_requested"]) == (200, "completed", False)
    record("cancel of a finished job, twice", time.monotonic() - asked)
    after = lab.check(job, "completed", ["succeeded"])
    assert after["attempts"] == before["attempts"]
    unknown = lab.client.cancel("00000000-0000-4000-8000-000000000000")
    assert unknown[0] == 404
    assert unknown[1]["code"] == "job-not-found"


@pytest.mark.verify
def test_of_a_job_whose_worker_is_dead(lab: Lab, simulator: Simulated, record: Record) -> None:
    """The request cannot reach its worker; it ends with the worker's lease."""
    worker = lab.worker(simulator)
    job = lab.client.submit(seconds=30.0)
    lab.client.running(job)
    worker.kill()
    asked = time.monotonic()
    assert _is_requested(lab.client.cancel(job))
    ended = lab.client.follower(job).wait_end()
    lab.check(job, "canceled", ["canceled"])
    record("cancel that is lost on the way to a dead worker", ended - asked)
