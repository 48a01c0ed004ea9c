"""Prompts that fail, or seem to; and sockets that cannot be trusted."""

import shutil
import time

import pytest

from tests.e2e.faults.client import until
from tests.e2e.faults.comfy import Comfy, Real, Simulated
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab
from tests.e2e.faults.marks import also_mortal, also_real


@pytest.mark.verify
@also_real
def test_a_node_fails(lab: Lab, comfy: Comfy, record: Record) -> None:
    lab.worker(comfy)
    job = lab.client.submit("fail", failure="runtime")
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "failed", ["failed"])
    record("node error", ended - submitted)
    assert story["error_code"] == "node-error"
    assert story["error"].startswith("LabRaise (2): RuntimeError: ")
    assert "deliberate failure" in story["error"]


@also_real
def test_a_model_that_is_not_there(lab: Lab, comfy: Comfy, record: Record) -> None:
    """`wait` has it accepted; the worker leaves it to one that has the model."""
    lab.worker(comfy)
    job = lab.client.submit("checkpoint", wait=True)
    submitted = time.monotonic()

    def reason() -> str:
        return lab.client.show(job)["waits_for"] or ""

    until(lambda: "CheckpointLoaderSimple" in reason(), "set aside")
    record("bad model name", time.monotonic() - submitted)
    assert "nobody-has-it.safetensors" in reason()
    lab.client.cancel(job)
    lab.check(job, "canceled", [])


@pytest.mark.verify
@also_real
def test_one_output_of_two_is_refused(lab: Lab, comfy: Comfy, record: Record) -> None:
    """ComfyUI answers 200 and would run the sound half."""
    lab.worker(comfy)
    job = lab.client.submit("half", color=7, wait=True)
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "failed", ["failed"])
    record("200 with node_errors", ended - submitted)
    assert story["error_code"] == "invalid-graph"
    assert "LoadImage (3)" in story["error"]
    until(lambda: not comfy.holds(job), "out of ComfyUI")


@pytest.mark.verify
@also_real
def test_out_of_memory_for_good(lab: Lab, comfy: Comfy, record: Record) -> None:
    """One retry, after ComfyUI has been told to free its memory."""
    lab.worker(comfy)
    job = lab.client.submit("fail", failure="oom")
    neighbour = lab.client.submit(seconds=0.2)
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "failed", ["failed", "failed"])
    record("out of memory, twice", ended - submitted)
    assert (story["error_code"], story["failures"]) == ("out-of-memory", 2)
    assert "LabRaise (2)" in story["error"]
    lab.check(neighbour, "completed", ["succeeded"])


def test_out_of_memory_once(lab: Lab, simulator: Simulated, record: Record) -> None:
    """The prompt behind it in ComfyUI fails as well, which does not count against its job."""
    lab.worker(simulator)
    job = lab.client.submit(seconds=6.0)  # it meets the fault at its end
    lab.client.running(job)
    neighbour = lab.client.submit(seconds=0.05)
    lab.client.until(neighbour, lambda now: now["attempt"] == 1, "put behind it")
    simulator.fault(oom=2)
    submitted = time.monotonic()
    ended = [lab.client.follower(each).wait_end() for each in (job, neighbour)]
    assert lab.check(job, "completed", ["failed", "succeeded"])["failures"] == 1
    assert lab.check(neighbour, "completed", ["released", "succeeded"])["failures"] == 0
    record("out of memory, once", max(ended) - submitted)


@pytest.mark.verify
@pytest.mark.parametrize("fault", ["close_sockets", "deaf", "stall_socket"])
def test_a_socket_that_fails(fault: str, lab: Lab, simulator: Simulated, record: Record) -> None:
    """ComfyUI's history tells what its socket does not; the job is not harmed."""
    lab.worker(simulator)
    job = lab.client.submit(seconds=1.0)
    lab.client.running(job)
    simulator.fault(**{fault: True})
    until(lambda: simulator.renders(job) == 1, "rendered")
    rendered = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    lab.check(job, "completed", ["succeeded"])
    record(f"ComfyUI's socket: {fault}", ended - rendered)
    lab.check(lab.client.submit(seconds=0.1), "completed", ["succeeded"])


@also_mortal
def test_a_cached_run_whose_file_is_gone(lab: Lab, mortal: Comfy, record: Record) -> None:
    lab.worker(mortal)
    color = 4711
    first = lab.client.submit("preview", color=color)
    lab.check(first, "completed", ["succeeded"])
    _lose_files(mortal)
    again = lab.client.submit("preview", color=color)
    submitted = time.monotonic()
    ended = lab.client.follower(again).wait_end()
    lab.check(again, "completed", ["failed", "succeeded"])
    record("cached run whose file is gone", ended - submitted)


def _lose_files(comfy: Comfy) -> None:
    assert isinstance(comfy, Simulated | Real)
    for path in comfy.temp.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_run_that_takes_too_long(lab: Lab, simulator: Simulated, record: Record) -> None:
    lab.worker(simulator)
    job = lab.client.submit("nap-brief", seconds=30.0, ticks=300)
    lab.client.running(job)
    started = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "failed", ["failed"])
    record("run_timeout_s of 1", ended - started)
    assert story["error_code"] == "deadline"
    assert not simulator.holds(job)
    lab.check(lab.client.submit(seconds=0.1), "completed", ["succeeded"])


@pytest.mark.verify
def test_a_wait_that_takes_too_long(lab: Lab, record: Record) -> None:
    """It expired: it never started. It is whole, and stays."""
    job = lab.client.submit("nap-impatient")
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "failed", [])
    record("queue_timeout_s of 1", ended - submitted)
    assert (story["error_code"], story["attempt"]) == ("deadline", 0)
    assert story["parameters"]["seconds"] == 1.0
    assert lab.client.cancel(job)[0] == 200
