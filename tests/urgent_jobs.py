"""Jobs that only the reaper can help: one without a doorbell, and one whose worker is gone."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.services import Services
from comfyq.config import read_settings
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT
from comfyq.domain.job import Job, JobId, WorkerId
from comfyq.domain.submission.spec import Spec

LAPSES = timedelta(seconds=1)  # until they are due


async def store_urgent(
    data_dir: Path, workflows: Path, workflow: str, *requests: Mapping[str, Any]
) -> tuple[str, str]:
    """Store two jobs, by their requests, in a data directory that nobody uses.

    Returns the id of the one without a doorbell, and of the one that a worker has claimed.
    """
    environment = {"COMFYQ_DATA_DIR": str(data_dir), "COMFYQ_WORKFLOWS_DIR": str(workflows)}
    settings = read_settings(environment)
    ports = open_ports(settings)
    services = Services(settings, ports)
    form = services.workflows.get(workflow)
    ids = []
    for request, change in zip(requests, (_unrung, _claimed), strict=True):
        resolved = form.resolve(request, draw_seed=lambda: 1)
        spec = Spec(graph=form.bind(resolved.parameters), parameters=resolved.parameters)
        job = jobs.submitted(
            id=JobId(str(uuid4())),
            tenant=DEFAULT_TENANT,
            workflow=form.name,
            family=form.family,
            created_at=datetime.now(UTC),  # noqa: TID251 - there is no clock port in a script
        )
        await services.records.update(await services.records.create(job, spec), change)
        ids.append(job.id)
    ports.close()
    with closing(sqlite3.connect(data_dir / "comfyq.db")) as connection, connection:
        connection.executemany("DELETE FROM message WHERE job_id = ?", [(each,) for each in ids])
    return ids[0], ids[1]


def _unrung(job: Job, /, *, now: datetime) -> Job:
    return replace(job, version=job.version + 1, rung_at=None, due_at=now + LAPSES)


def _claimed(job: Job, /, *, now: datetime) -> Job:
    return jobs.claim(job, worker=WorkerId("gone"), now=now, ttl=LAPSES)
