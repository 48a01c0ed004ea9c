"""Jobs that fail in the same way however often they are run; and good ones that only look so."""

import signal
import time

import pytest

from tests.e2e.faults.client import Json, until
from tests.e2e.faults.comfy import Comfy, Simulated, listens
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab, new_name
from tests.e2e.faults.marks import also_mortal, also_real

SLOW_S = 240.0  # a real ComfyUI starts four times


def story_of(lab: Lab, kind: str, verdicts: list[str], row: str, record: Record) -> Json:
    """The story of a job that failed as its node's kind says; another one runs after it."""
    job = lab.client.submit("show", kind=kind)
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "failed", verdicts)
    record(row, ended - submitted)
    lab.check(lab.client.submit(seconds=0.1), "completed", ["succeeded"])
    return story


@also_real
def test_results_that_comfyui_cannot_show(lab: Lab, comfy: Comfy, record: Record) -> None:
    """Its history answers 500 for this prompt alone."""
    lab.worker(comfy)
    row = "ComfyUI's history fails for one prompt"
    story = story_of(lab, "nested", ["failed", "failed"], row, record)
    assert story["error_code"] == "results-unreadable"
    assert "ComfyUI answers 500 to history" in story["error"]


@also_real
def test_a_file_that_never_is_there(lab: Lab, comfy: Comfy, record: Record) -> None:
    lab.worker(comfy)
    row = "an output's file is missing each time"
    story = story_of(lab, "missing", ["failed", "failed"], row, record)
    assert (story["error_code"], story["error"]) == (
        "output-gone",
        "nobody.png is not in output",
    )


@also_real
@pytest.mark.parametrize("kind", ["refused", "unnameable"])
def test_a_name_that_no_request_carries(kind: str, lab: Lab, comfy: Comfy, record: Record) -> None:
    lab.worker(comfy)
    row = f"an output's name cannot be asked for: {kind}"
    story = story_of(lab, kind, ["failed"], row, record)
    assert story["error_code"] == "output-gone"


@pytest.mark.verify
@pytest.mark.timeout(SLOW_S)
@also_mortal
def test_a_graph_that_ends_comfyui(lab: Lab, mortal: Comfy, record: Record) -> None:
    """Each death is counted when ComfyUI is back and does not know the prompt; what waited behind
    it in ComfyUI is not to blame."""
    lab.worker(mortal)
    job = lab.client.submit("show", kind="crash")
    submitted = time.monotonic()
    neighbour = lab.client.submit(seconds=0.1)
    for deaths in (1, 2, 3):
        given_back(lab, job, deaths)
        mortal.restart()
    ended = lab.client.follower(job).wait_end()
    record("a graph ends ComfyUI each time", ended - submitted)
    story = lab.check(job, "failed", ["failed"] * 3)
    assert (story["error_code"], story["failures"]) == ("engine-lost", 3)
    assert "ended or was restarted while it ran the job" in story["error"]
    assert lab.check(neighbour, "completed")["failures"] == 0


@pytest.mark.verify
@pytest.mark.timeout(SLOW_S)
@also_mortal
def test_a_number_that_comfyui_cannot_write(lab: Lab, mortal: Comfy, record: Record) -> None:
    """It ends a ComfyUI whose client listens, and makes the history of any other fail."""
    lab.worker(mortal)
    job = lab.client.submit("show", kind="endless")
    submitted = time.monotonic()
    follower = lab.client.follower(job)

    def has_ended() -> bool:
        if not listens(mortal.url):
            mortal.restart()
        return follower.ended_at is not None

    until(has_ended, "it has ended", within_s=SLOW_S / 2)
    record("a number of 5,000 digits ends ComfyUI", follower.wait_end() - submitted)
    story = lab.check(job, "failed")
    assert story["error_code"] in ("engine-lost", "results-unreadable")
    assert story["failures"] == len(story["attempts"]) <= 3


@pytest.mark.verify
@pytest.mark.timeout(SLOW_S)
@also_mortal
def test_two_restarts_in_mid_run(lab: Lab, mortal: Comfy, record: Record) -> None:
    """An operator's: the job is good, and its third attempt shows it."""
    lab.worker(mortal)
    job = lab.client.submit(seconds=1.5)
    for restarts in (1, 2):
        lab.client.running(job)
        mortal.kill()
        given_back(lab, job, restarts)
        mortal.restart()
    back = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    record("ComfyUI killed twice under one job", ended - back)
    story = lab.check(job, "completed", ["failed", "failed", "succeeded"])
    reasons = [attempt["reason"] for attempt in story["attempts"][:2]]
    assert all("ended or was restarted while it ran the job" in reason for reason in reasons)


@pytest.mark.verify
def test_three_cuts_in_mid_run(lab: Lab, simulator: Simulated, record: Record) -> None:
    """A ComfyUI that is only out of reach has lost nothing: none of them counts."""
    name = new_name("cut")
    lab.worker(simulator, worker_id=name)
    job = lab.client.submit(seconds=1.5)
    for cuts in (1, 2, 3):
        lab.client.running(job)
        simulator.process.signal(signal.SIGSTOP)
        given_back(lab, job, cuts)
        simulator.process.signal(signal.SIGCONT)
    over = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    record("three cuts between worker and ComfyUI", ended - over)
    story = lab.check(job, "completed", ["released"] * 3 + ["succeeded"])
    assert story["failures"] == 0


def given_back(lab: Lab, job: str, attempts: int) -> None:
    """Wait until a job's worker has given it back that often, as its ComfyUI does not answer."""

    def is_back() -> bool:
        return len(lab.client.story(job)["attempts"]) == attempts

    until(is_back, f"attempt {attempts} has ended")
    [*_, last] = lab.client.story(job)["attempts"]
    assert last["verdict"] == "released", last["reason"]
    assert "not answered" in last["reason"]
