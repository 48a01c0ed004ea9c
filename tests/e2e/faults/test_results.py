"""Results of every size, and attempts that end by a defect of comfyq's own."""

import re
import time

import pytest

from tests.e2e.faults.client import Json
from tests.e2e.faults.comfy import Comfy, Simulated
from tests.e2e.faults.conftest import Record
from tests.e2e.faults.lab import Lab
from tests.e2e.faults.marks import also_real

PATIENCE_S = 600.0  # thousands of pictures are painted and stored
CRASH = {"port": "assets", "call": "put", "about": "outputs/", "do": "crash"}


def end_of(lab: Lab, job_id: str, status: str, verdicts: list[str]) -> Json:
    """The story of a job, which has ended once and was announced so."""
    follower = lab.client.follower(job_id)
    follower.wait_end(within_s=PATIENCE_S)
    story = lab.client.story(job_id)
    assert story["status"] == status, story["error"]
    assert [attempt["verdict"] for attempt in story["attempts"]] == verdicts, story["attempts"]
    assert follower.close_code == 1000
    return story


@also_real
@pytest.mark.parametrize("length", [400_000, 500_000])
def test_a_long_text(lab: Lab, comfy: Comfy, length: int, record: Record) -> None:
    lab.worker(comfy)
    text = "né" * (length // 2)
    job = lab.client.submit("long-text", text=text[: length // 8])
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = end_of(lab, job, "completed", ["succeeded"])
    record(f"a text output of {length // 1_000} kB", ended - submitted)
    [output] = story["outputs"]
    assert (output["kind"], output["text"]) == ("text", None)
    assert lab.client.download(output["url"]).decode() == text


@pytest.mark.verify
@pytest.mark.timeout(2 * PATIENCE_S)
@also_real
@pytest.mark.parametrize(("batch", "amount"), [(625, 4), (2_500, 4)], ids=["2500", "10000"])
def test_many_outputs(lab: Lab, comfy: Comfy, batch: int, amount: int, record: Record) -> None:
    count = batch * amount
    lab.worker(comfy)
    job = lab.client.submit("many", batch=batch, amount=amount)
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end(within_s=PATIENCE_S)
    story = end_of(lab, job, "completed", ["succeeded"])
    record(f"{count:,} outputs", ended - submitted)
    assert len({output["filename"] for output in story["outputs"]}) == count
    for output in (story["outputs"][0], story["outputs"][-1]):
        assert lab.client.download(output["url"]).startswith(b"\x89PNG")
    assert lab.client.follower(job).frames[-1]["image_url"]


@pytest.mark.verify
@pytest.mark.timeout(2 * PATIENCE_S)
@also_real
def test_more_outputs_than_are_kept(lab: Lab, comfy: Comfy, record: Record) -> None:
    lab.worker(comfy)
    job = lab.client.submit("many", batch=137, amount=73)
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end(within_s=PATIENCE_S)
    story = end_of(lab, job, "failed", ["failed"])
    record("10,001 outputs, which are too many", ended - submitted)
    assert story["error_code"] == "too-many-outputs"
    assert "10001 outputs" in story["error"]
    assert "at most 10000" in story["error"]
    assert story["outputs"] == []


def test_an_attempt_that_raises_once(lab: Lab, simulator: Simulated, record: Record) -> None:
    lab.worker(simulator, faults=[CRASH])
    job = lab.client.submit(seconds=0.1)
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "completed", ["failed", "succeeded"])
    record("an attempt raises, and the next does not", ended - submitted)
    assert story["attempts"][0]["reason"].startswith("a defect of comfyq (ZeroDivisionError)")


def test_an_attempt_that_raises_each_time(lab: Lab, simulator: Simulated, record: Record) -> None:
    worker = lab.worker(simulator, faults=[{**CRASH, "times": 0}])
    job = lab.client.submit(seconds=0.1)
    submitted = time.monotonic()
    ended = lab.client.follower(job).wait_end()
    story = lab.check(job, "failed", ["failed", "failed"])
    record("an attempt raises, and so does the next", ended - submitted)
    assert story["error_code"] == "internal"
    [log_id] = re.findall(r"see (\w{12}) in its worker's log", story["error"])
    defects = [line for line in worker.log.splitlines() if '"event": "defect"' in line]
    assert sum(log_id in line for line in defects) == 2, "each attempt with the traceback"
    lab.check(lab.client.submit("fail", failure="runtime"), "failed", ["failed"])
