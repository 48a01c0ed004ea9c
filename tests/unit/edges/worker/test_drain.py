"""What a worker says when it is stopped."""

import asyncio
from dataclasses import replace

import pytest

from comfyq.domain.job import JobStatus
from comfyq.ports.engine import Started
from tests.farm import Farm
from tests.log_lines import logged
from tests.scripted_engine import Never, ScriptedEngine
from tests.unit.edges.worker.test_worker import services_of

pytestmark = pytest.mark.anyio


async def test_a_drain_says_what_it_waits_for(farm: Farm) -> None:
    job = await farm.submit()
    services = services_of(farm, ScriptedEngine(Started(), Never()))
    services.settings = replace(services.settings, drain_s=0.01)
    worker = services.worker
    with logged() as lines:
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.run())
            await farm.until(job, JobStatus.RUNNING)
            worker.stop()
    [drain] = [line for line in lines if line["event"] == "draining"]
    assert (drain["finishing"], drain["within_s"]) == (1, 0.01)
    assert "Ctrl-C" in drain["again"]


async def test_a_worker_without_a_job_ends_in_silence(farm: Farm) -> None:
    worker = services_of(farm).worker
    worker.stop()
    with logged() as lines:
        await worker.run()
    assert "draining" not in [line["event"] for line in lines]
