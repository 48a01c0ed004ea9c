"""What a worker counts while it runs jobs."""

import pytest

from comfyq.aio.tasks import beside
from comfyq.domain.job import JobStatus
from comfyq.telemetry.metrics import Busy, Gauge, Histogram, Number
from comfyq.telemetry.numbers import RUN_SECONDS, UPLOAD_SECONDS
from tests.farm import Farm
from tests.unit.edges.worker.test_worker import services_of

pytestmark = pytest.mark.anyio


def number(metric: Number) -> float:
    [(_, value)] = metric.values()
    return value


def observed(metric: Histogram, workflow: str) -> int:
    return sum(sum(each.counts) for labels, each in metric.values() if labels == (workflow,))


async def test_a_job_is_measured_and_everything_that_ran_has_left(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_s = Busy("busy_total", "Seconds at work.")
    running, workers = Gauge("running", "Prompts."), Gauge("workers", "Workers.")
    monkeypatch.setattr("comfyq.edges.worker.prompt_slots.BUSY_SECONDS", busy_s)
    monkeypatch.setattr("comfyq.edges.worker.prompt_slots.RUNNING", running)
    monkeypatch.setattr("comfyq.edges.worker.attempts.WORKERS", workers)
    job = await farm.submit(workflow="measured-here")
    async with beside(services_of(farm).worker.run()):
        await farm.until(job, JobStatus.SUCCEEDED)
        assert number(workers) == 1
    assert observed(RUN_SECONDS, "measured-here") == observed(UPLOAD_SECONDS, "measured-here") == 1
    assert (number(workers), number(running)) == (0, 0)
    assert number(busy_s) > 0
    assert number(busy_s) == number(busy_s), "nobody is at work any more"
