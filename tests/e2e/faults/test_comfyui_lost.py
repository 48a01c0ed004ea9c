"""ComfyUI dies, hangs, or loses its GPU."""

import sys
import time

import pytest
import requests

from tests.e2e.faults.client import CALL_S, Client, until
from tests.e2e.faults.comfy import Comfy, Real, Simulated, free_port, listens
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import FAST, Lab, new_name
from tests.e2e.faults.marks import also_mortal, also_real

LATCHED = "restart ComfyUI"


@pytest.mark.verify
@also_mortal
def test_killed_in_mid_run_and_restarted(lab: Lab, mortal: Comfy, record: Record) -> None:
    """Nothing is claimed while it is away: what comes meanwhile has one attempt only."""
    name = new_name("worker")
    lab.worker(mortal, worker_id=name)
    job = lab.client.submit(seconds=1.5)
    lab.client.running(job)
    until(lambda: lab.answers(name), "the worker says that its ComfyUI is there")
    mortal.kill()
    until(lambda: not lab.answers(name), "the worker says that its ComfyUI is away")
    until(lambda: lab.client.health()["status"] == "degraded", "degraded")
    waiting = lab.client.submit(seconds=0.1)
    mortal.restart()
    back = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    record("ComfyUI killed in mid-run, restarted", ended - back)
    story = lab.check(job, "completed")
    *before, last = [attempt["verdict"] for attempt in story["attempts"]]
    assert last == "succeeded"
    assert before
    assert set(before) <= {"failed", "released"}
    lab.check(waiting, "completed", ["succeeded"])
    assert (mortal.renders(job), mortal.renders(waiting)) == (1, 1)
    assert lab.client.health()["status"] == "healthy"


@pytest.mark.verify
@pytest.mark.parametrize("fault", ["exit", pytest.param("hang", marks=pytest.mark.verify)])
def test_supervised(fault: str, lab: Lab, workflows: object, record: Record) -> None:
    """`up --comfyui-command` starts it again, whether it died or had to be killed."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    up = lab.processes.up(
        comfyui=[url],
        backend=lab.backend,
        options=["--comfyui-command", f"{sys.executable} -m comfyq.cli simulator --port {port}"],
        env={**FAST, "COMFYQ_WORKFLOWS_DIR": str(workflows)},
    )
    lab.client = client = Client(up.url)
    until(lambda: client.health()["status"] == "healthy", "healthy")
    requests.post(f"{url}/simulator/faults", json={fault: True}, timeout=CALL_S)
    job = client.submit("nap-watched", seconds=0.2)
    submitted = time.monotonic()
    ended = client.follower(job).wait_end()
    record(f"supervised ComfyUI: {fault}", ended - submitted)
    story = lab.check(job, "completed")
    assert story["attempts"][-1]["verdict"] == "succeeded"
    assert up.log.count("comfyui_started") == 2
    assert '"again_in_s": 0.5' in up.log
    assert up.stop() == 0
    until(lambda: not listens(url), "its ComfyUI is stopped with it")


@pytest.mark.verify
def test_a_gpu_that_never_returns(lab: Lab, simulator: Simulated, record: Record) -> None:
    """The worker stops claiming and says why; what stood behind the hung prompt is given back."""
    name = new_name("hung")
    lab.worker(simulator, worker_id=name)
    simulator.fault(hang=True)
    job = lab.client.submit("nap-watched", seconds=0.2)
    neighbour = lab.client.submit(seconds=0.2)
    submitted = time.monotonic()
    until(lambda: LATCHED in lab.reason(name), "latched")
    lab.worker(lab.simulator())
    ended = [lab.client.follower(each).wait_end() for each in (job, neighbour)]
    record("ComfyUI hangs: another worker ends its jobs", max(ended) - submitted)
    assert lab.check(job, "completed", ["failed", "succeeded"])["failures"] == 1
    assert lab.check(neighbour, "completed", ["released", "succeeded"])["failures"] == 0
    assert [simulator.renders(each) for each in (job, neighbour)] == [0, 0]


@pytest.mark.verify
@also_mortal
def test_a_node_that_ends_its_thread(lab: Lab, mortal: Comfy, record: Record) -> None:
    """SystemExit: ComfyUI answers, runs for ever, and heeds no interrupt."""
    name = new_name("hung")
    lab.worker(mortal, worker_id=name)
    job = lab.client.submit("fail", failure="sysexit")
    lab.client.running(job)
    started = time.monotonic()
    neighbour = lab.client.submit(seconds=0.2)
    until(lambda: LATCHED in lab.reason(name), "latched")
    record("a node raises SystemExit: worker latched", time.monotonic() - started)
    assert lab.client.health()["status"] == "degraded"
    now = lab.client.until(job, lambda now: now["status"] == "queued", "given back")
    assert mortal.holds(job)
    lab.client.cancel(job)  # nobody else shall run it
    story = lab.check(job, "canceled", ["failed"])
    assert "no sign of progress for 2 s" in story["attempts"][0]["reason"], now
    lab.worker(lab.simulator(unmarked=isinstance(mortal, Real)))  # of the kind that has the jobs
    lab.check(neighbour, "completed")
    assert lab.client.story(neighbour)["failures"] == 0
    assert mortal.holds(job)
    assert LATCHED in lab.reason(name)  # for as long as the thread is dead
    mortal.kill()
    mortal.restart()
    until(lambda: lab.answers(name), "ComfyUI was restarted: its worker takes jobs again")


@pytest.mark.verify
@also_real
def test_a_step_that_is_slower_than_it_may_be(lab: Lab, comfy: Comfy, record: Record) -> None:
    """It looks as if ComfyUI hung, and the worker says so; ComfyUI itself shows that it did not."""
    name = new_name("slow")
    worker = lab.worker(comfy, worker_id=name)
    job = lab.client.submit("nap-watched", seconds=12.0, ticks=1)
    lab.client.running(job)
    until(lambda: LATCHED in lab.reason(name), "latched")
    lab.client.cancel(job)
    story = lab.check(job, "canceled", ["failed"])
    assert "no sign of progress for 1 s" in story["attempts"][0]["reason"]
    waiting = lab.client.submit(seconds=0.1)
    assert comfy.holds(job)
    until(lambda: not comfy.holds(job), "the step is over")
    over = time.monotonic()
    ended = lab.client.follower(waiting).wait_end()
    lab.check(waiting, "completed", ["succeeded"])
    record("a step outlasts its patience: worker goes on after it", ended - over)
    assert [worker.log.count(f"worker_{what}latched") for what in ("", "un")] == [1, 1]


def test_a_broken_device(lab: Lab, simulator: Simulated, record: Record) -> None:
    """Two faults in a row latch the worker; only the first of them counts against a job."""
    name = new_name("broken")
    lab.worker(simulator, worker_id=name)
    job = lab.client.submit(seconds=6.0)  # it meets the fault at its end
    lab.client.running(job)
    neighbour = lab.client.submit(seconds=0.05)
    lab.client.until(neighbour, lambda now: now["attempt"] == 1, "put behind it")
    simulator.fault(device_fault=True)
    submitted = time.monotonic()
    until(lambda: "the device failed" in lab.reason(name), "latched")
    lab.worker(lab.simulator())
    ended = [lab.client.follower(each).wait_end() for each in (job, neighbour)]
    record("CUDA fault: another worker ends its jobs", max(ended) - submitted)
    stories = [lab.check(each, "completed") for each in (job, neighbour)]
    assert [story["failures"] for story in stories] == [1, 0]
    assert "illegal memory access" in stories[0]["attempts"][0]["reason"]
    assert [attempt["verdict"] for attempt in stories[1]["attempts"]] == ["released", "succeeded"]


@pytest.mark.verify
def test_several_gpus_in_one_box(lab: Lab, record: Record) -> None:
    """A latched one does not stop the others."""
    broken, sound = lab.simulator(), lab.simulator()
    broken.fault(device_fault=True)
    lab.worker(broken, sound)
    jobs = [lab.client.submit(seconds=0.3) for _ in range(8)]
    submitted = time.monotonic()
    ended = [lab.client.follower(job).wait_end() for job in jobs]
    record("one of two GPUs broken, eight jobs", max(ended) - submitted)
    for job in jobs:
        lab.check(job, "completed")
    assert [sound.renders(job) for job in jobs] == [1] * len(jobs)
    reasons = [worker["reason"] or "" for worker in lab.client.health()["workers"]]
    assert [reason for reason in reasons if "the device failed" in reason]
    lab.check(lab.client.submit(seconds=0.1), "completed", ["succeeded"])
