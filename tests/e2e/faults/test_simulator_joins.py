"""A simulator comes to the jobs of a real ComfyUI, or a second `up` to the directory of a first."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from comfyq.bootstrap.runtime_file import read_runtime
from tests.e2e.faults.client import Client, until
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import FAST, Lab
from tests.e2e.faults.ownership import owned
from tests.processes import ROOT, START_S, Process, clean_env

JOBS = 4
LONG_LIVE = {"COMFYQ_LIVE_S": "600"}
FIRST_HEARTBEAT_DELAYED = {
    "port": "table",
    "call": "write",
    "about": '"engine_ok":true',
    "when": "before",
    "do": "delay",
    "seconds": 20,  # longer than the real one needs to start
}
WRONG_USAGE = 2


@pytest.fixture
def lab(backend: str, workflows: Path, tmp_path: Path) -> Iterator[Lab]:
    """Of one test: what its store is, is told once and for all."""
    with (
        owned(tmp_path, backend=backend, workflows=workflows) as system,
        closing(system.lab(system.up())) as lab,
    ):
        yield lab


def second_up(lab: Lab, *, comfyui: Sequence[str] = ()) -> Process:
    """Another `up` over the same data, with workers unless it declines to have some."""
    return lab.processes.up(
        backend=lab.backend,
        data_dir=lab.up.data_dir,
        comfyui=comfyui,
        env={**lab.up.exports, **FAST},
    )


def refused(command: Sequence[object], home: Path, env: Mapping[str, str]) -> str:
    """What a command says that does not start."""
    ended = subprocess.run(
        [sys.executable, "-m", "comfyq.cli", *map(str, command)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_env(home, env),
        timeout=START_S,
    )
    assert ended.returncode == WRONG_USAGE, ended
    assert "Traceback" not in ended.stderr
    [line] = [line for line in ended.stderr.splitlines() if "simulator" in line]
    return line


def test_a_simulator_takes_no_job_of_a_real_comfyui(
    lab: Lab, tmp_path: Path, record: Record
) -> None:
    """The real one is away just then: its jobs wait for it."""
    real, simulator = lab.simulator(unmarked=True), lab.simulator()
    worker = lab.worker(real)
    assert not lab.check(lab.client.submit(seconds=0.1), "completed")["simulated"]
    assert worker.stop() == 0
    jobs = [lab.client.submit(seconds=0.1) for _ in range(JOBS)]

    told = refused(["worker", "--comfyui", simulator.url], tmp_path, {**lab.up.exports, **FAST})
    assert "the jobs here are for a real ComfyUI" in told
    second = second_up(lab)
    assert second.ready["comfyui"] == []
    assert not second.ready["simulated"]
    assert "the jobs here are for a real ComfyUI" in second.ready["no_simulator"]

    lab.worker(real)
    back = time.monotonic()
    ended = [lab.client.follower(job).wait_end() for job in jobs]
    for job in jobs:
        assert not lab.check(job, "completed", ["succeeded"])["simulated"]
        assert (real.renders(job), simulator.renders(job)) == (1, 0)
    record("simulator joins the jobs of a real ComfyUI: it takes none", max(ended) - back)


def test_a_simulator_behind_the_url_of_a_real_comfyui_takes_none_of_its_jobs(
    lab: Lab, record: Record
) -> None:
    """Its worker says so, and goes on when the real one is back."""
    real = lab.simulator(unmarked=True)
    lab.worker(real, worker_id="w")
    lab.check(lab.client.submit(seconds=0.1), "completed")
    port = int(real.url.rpartition(":")[2])
    real.kill()
    until(lambda: not lab.answers("w"), "it is seen to be away")
    impostor = lab.processes.simulator(port=port)
    until(lambda: "is a simulator" in lab.reason("w"), "the worker says why it takes nothing")
    jobs = [lab.client.submit(seconds=0.1) for _ in range(JOBS)]
    assert lab.client.health()["status"] == "degraded"
    impostor.kill()
    real.restart()
    back = time.monotonic()
    ended = [lab.client.follower(job).wait_end() for job in jobs]
    for job in jobs:
        assert not lab.check(job, "completed", ["succeeded"])["simulated"]
    record("simulator started at the URL of a real ComfyUI: it gets no job", max(ended) - back)


def test_a_real_comfyui_takes_over_when_no_simulator_works(
    lab: Lab, tmp_path: Path, record: Record
) -> None:
    real, simulator = lab.simulator(unmarked=True), lab.simulator()
    simulated = lab.worker(simulator)
    job = lab.client.submit(seconds=0.1)
    assert lab.check(job, "completed")["simulated"]
    assert lab.client.follower(job).frames[-1]["simulated"]
    until(lambda: lab.client.health()["simulated"], "the server says that it simulates")
    env = {**lab.up.exports, **FAST}
    for command in ("worker",), ("up", "--port", 0, "--backend", lab.backend):
        told = refused([*command, "--comfyui", real.url], tmp_path, env)
        assert "stop them first" in told

    simulated.kill()
    left = lab.client.submit(seconds=0.1)
    until(lambda: not lab.client.health()["workers"], "it is known to be gone")
    began = time.monotonic()
    lab.worker(real)
    ended = lab.client.follower(left).wait_end()
    assert not lab.check(left, "completed", ["succeeded"])["simulated"]
    assert (real.renders(left), simulator.renders(left)) == (1, 0)
    record("real ComfyUI takes over what simulators had", ended - began)


def test_a_real_comfyui_comes_just_after_the_death_of_a_simulators_worker(
    lab: Lab, record: Record
) -> None:
    """Its lock tells that it is dead, long before its last heartbeat is old."""
    real, simulator = lab.simulator(unmarked=True), lab.simulator()
    simulated = lab.worker(simulator, env=LONG_LIVE, worker_id="simulated")
    until(lambda: lab.answers("simulated"), "the simulator works")
    simulated.kill()
    died = time.monotonic()
    lab.worker(real, env=LONG_LIVE, worker_id="real")
    until(lambda: lab.answers("real"), "the real one works")
    record("worker of a simulator SIGKILLed: a real ComfyUI takes over", time.monotonic() - died)
    assert [worker["id"] for worker in lab.client.health()["workers"]] == ["real"]


def test_a_real_comfyui_comes_before_the_first_heartbeat_of_a_simulator(
    lab: Lab, record: Record
) -> None:
    """Nobody can see yet that a simulator works there, so it has taken nothing."""
    jobs = [lab.client.submit(seconds=0.1) for _ in range(JOBS)]
    real, simulator = lab.simulator(unmarked=True), lab.simulator()
    lab.worker(simulator, faults=[FIRST_HEARTBEAT_DELAYED])
    lab.worker(real)
    began = time.monotonic()
    ended = [lab.client.follower(job).wait_end() for job in jobs]
    for job in jobs:
        assert not lab.check(job, "completed", ["succeeded"])["simulated"]
        assert (real.renders(job), simulator.renders(job)) == (1, 0)
    record("real ComfyUI starts just after a simulator: it has all jobs", max(ended) - began)


def test_the_second_of_two_ups_ends(lab: Lab, record: Record) -> None:
    """What tells others how to join names the first, from first to last."""
    first = lab.up
    second = second_up(lab, comfyui=[lab.simulator().url])
    assert read_runtime(first.data_dir)["COMFYQ_URL"] == first.url
    ended = time.monotonic()
    assert second.stop() == 0
    assert read_runtime(first.data_dir)["COMFYQ_URL"] == first.url
    record("the second of two `up` ends: `comfyq env` names the first", time.monotonic() - ended)
    third = second_up(lab)
    first.kill()
    named = read_runtime(first.data_dir)["COMFYQ_URL"]
    assert named == third.url != first.url
    until(lambda: Client(named).health()["status"] == "healthy", "what is named has a worker")
