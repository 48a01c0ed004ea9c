"""Calls that a job makes of AWS, counted; ``infra/cost.py`` prices them.

After a change that needs other calls: ``COMFYQ_RECORD=1 pytest tests/infra/test_cost.py``.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from comfyq.adapters.provisioning.provision import Provisioned
from comfyq.bootstrap.services import Services
from comfyq.domain.job import JobId, JobStatus
from comfyq.local.emulator import Emulator
from infra.checks.units import Units
from infra.cost import RECORD, PerJob, idle_usd, job_usd, per_job
from tests.infra.deployment import PRESENT, Deployment
from tests.infra.loops import closed_loops

JOBS = 10
STEPS = 20
STEP_S = 0.1  # two seconds of work: progress is stored once a second
RECORDING = "COMFYQ_RECORD" in os.environ  # noqa: TID251 - a switch of this test alone


@pytest.mark.verify
@pytest.mark.timeout(180)
def test_what_a_job_asks_for(provisioned: Provisioned, emulator: Emulator, tmp_path: Path) -> None:
    deployment = Deployment(provisioned, endpoint=emulator.url, data_dir=tmp_path)
    with closed_loops():
        measured = measure(deployment)
    if RECORDING:
        RECORD.write_text(json.dumps(measured.__dict__, indent=2) + "\n", encoding="utf-8")
    known = per_job()
    assert measured.write_units == pytest.approx(known.write_units, rel=0.3)
    assert measured.of("sqs") == pytest.approx(known.of("sqs"), rel=0.5)


def measure(deployment: Deployment) -> PerJob:
    """Jobs one after another, each followed by one socket and asked for once at its end."""
    with deployment.role("ApiRole") as api:
        job_ids = [deployment.api().submit(f"k{n}", steps=STEPS) for n in range(JOBS)]
    with deployment.role("WebSocketRole") as socket:
        send = deployment.websocket()
        for job_id in job_ids:
            send("connect", PRESENT, queryStringParameters={"job_id": job_id})
            body = json.dumps({"action": "subscribe", "job_id": job_id})
            send("subscribe", PRESENT, body=body)
    with deployment.role("WorkerPolicy") as worker:
        deployment.work(all_succeeded(job_ids), step_s=STEP_S)
    with deployment.role("ApiRole") as asked:
        function = deployment.api()
        for job_id in job_ids:
            assert function("show", f"/generate/{job_id}")["statusCode"] == 200
    units: list[Units] = [each.units for each in (api, socket, worker, asked)]
    roles = [deployment.recordings[name] for name in ("ApiRole", "WebSocketRole", "WorkerPolicy")]
    names = sorted({name for role in roles for name in role.calls})
    return PerJob(
        write_units=sum(each.writes for each in units) / JOBS,
        read_units=sum(each.reads for each in units) / JOBS,
        calls={name: sum(role.calls[name] for role in roles) / JOBS for name in names},
    )


def all_succeeded(job_ids: list[str]) -> Callable[[Services], Awaitable[bool]]:
    async def look(services: Services) -> bool:
        with_states = [services.records.get(JobId(job_id)) for job_id in job_ids]
        return all(job.status is JobStatus.SUCCEEDED for job in await asyncio.gather(*with_states))

    return look


def test_a_transaction_costs_twice() -> None:
    units = Units()
    small = {"pk": {"S": "JOB#1"}, "sk": {"S": "SPEC"}, "body": {"S": "x" * 3_000}}
    units.wrote("PutItem", {"Item": small})
    assert units.writes == 3
    units.wrote("TransactWriteItems", {"TransactItems": [{"Put": {"Item": small}}]})
    assert units.writes == 9


def test_an_index_entry_costs_when_it_shows_something_else() -> None:
    units = Units()
    item = {"pk": {"S": "JOB#1"}, "sk": {"S": "META"}, "apk": {"S": "ACTIVE#1"}, "ask": {"S": "1"}}
    units.wrote("PutItem", {"Item": item})
    assert units.writes == 2  # the item and its entry
    units.wrote("PutItem", {"Item": item | {"seen": {"N": "7"}}})
    assert units.writes == 3  # the entry stands
    units.wrote("PutItem", {"Item": item | {"ask": {"S": "2"}}})
    assert units.writes == 6  # it moves
    units.wrote("DeleteItem", {"Key": {"pk": {"S": "JOB#1"}, "sk": {"S": "META"}}})
    assert units.writes == 8


def test_reads_are_billed_by_size() -> None:
    units = Units()
    units.read("GetItem", {"ConsistentRead": True}, {})
    units.read("GetItem", {"ConsistentRead": True}, {"Item": {"body": {"S": "x" * 5_000}}})
    assert units.reads == 3
    units.read("Query", {}, {"Items": []})
    assert units.reads == 3.5


def test_money_grows_with_jobs_and_idle_costs_little() -> None:
    job = per_job()
    assert 0 < sum(job_usd(job).values()) < 0.001
    assert sum(job_usd(job, polls=30).values()) > sum(job_usd(job).values())
    assert sum(idle_usd(workers=0).values()) < 5
