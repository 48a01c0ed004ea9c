"""A worker as a whole: when it claims."""

import asyncio
import json

import pytest

from comfyq.aio.logs import log
from comfyq.aio.tasks import beside
from comfyq.bootstrap.worker_ports import MachinePorts
from comfyq.bootstrap.worker_services import WorkerServices
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobStatus
from comfyq.records.workers import WorkerRecords, WorkerState
from tests.farm import Farm
from tests.scripted_engine import ScriptedEngine

pytestmark = pytest.mark.anyio


class Machine:
    """A machine with room on its disks, and a ComfyUI that nobody restarts."""

    def shortage(self) -> str | None:
        return None

    async def free(self) -> None:
        pass

    async def is_idle(self) -> bool:
        return True

    def restart(self) -> bool:
        return False


def services_of(farm: Farm, engine: ScriptedEngine | None = None) -> WorkerServices:
    machine = MachinePorts(caretaker=Machine(), space=Machine(), catalogue_spool=farm.spool)
    return WorkerServices(farm.worker("w", engine).parts, machine, host="h", pid=1, version="1")


@pytest.mark.parametrize("left", [False, True], ids=["waiting", "left-by-a-former-process"])
async def test_nothing_is_claimed_before_a_heartbeat_says_that_comfyui_answers(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, left: bool
) -> None:
    """A real ComfyUI that joins takes over what no live simulator works on."""
    job = await farm.submit()
    if left:
        await farm.worker("w").claims.claim_waiting(job.id)
    before = await farm.records.get(job.id)
    refused = asyncio.Event()
    allowed = False
    beat = WorkerRecords.beat

    async def kept_back(records: WorkerRecords, worker: WorkerState, *, ttl_s: int) -> None:
        if worker.engine_ok and not allowed:
            refused.set()
            raise TableUnavailable("503")
        await beat(records, worker, ttl_s=ttl_s)

    monkeypatch.setattr(WorkerRecords, "beat", kept_back)
    monkeypatch.setattr("comfyq.edges.worker.worker.PAUSE_S", 0.01)
    worker = services_of(farm).worker
    async with beside(worker.run()):
        async with asyncio.timeout(10):
            await refused.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert (await farm.records.get(job.id)).attempt == before.attempt
        allowed = True
        ended = await farm.until(job, JobStatus.SUCCEEDED)
        assert ended.attempt == before.attempt + 1


async def test_what_comes_while_the_heartbeat_is_older_than_comfyuis_return_is_left(
    farm: Farm,
) -> None:
    services = services_of(farm)
    await services.engine_watch.look()
    await farm.submit()
    assert await services.source.rung() is None
    await services.heartbeat.publish()
    assert await services.source.rung() is not None


async def test_the_lines_of_an_attempt_name_job_attempt_and_worker(
    farm: Farm, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure("info")  # whatever a test before has made of it
    job = await farm.submit()
    async with beside(services_of(farm).worker.run()):
        await farm.until(job, JobStatus.SUCCEEDED)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = {line["event"]: line for line in lines if line.get("job") == job.id}
    for event in ("job_started", "job_ended"):
        assert (told[event]["attempt"], told[event]["worker"]) == (1, "w")
