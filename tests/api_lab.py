"""The HTTP API over in-memory ports, with jobs that a test moves by hand."""

import tempfile
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from comfyq.adapters.filesystem.workflows import FolderWorkflows
from comfyq.bootstrap.api import api_app
from comfyq.bootstrap.ports import Ports
from comfyq.bootstrap.services import Services
from comfyq.config import read_settings
from comfyq.domain import job as jobs
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Change, Job, JobError, JobId, WorkerId
from comfyq.domain.job.progress import Progress
from comfyq.ports.access.authenticator import Authenticator
from comfyq.ports.notifier import Notifier
from comfyq.records.jobs import JobRecords
from comfyq.services.jobs.admission import Admission
from comfyq.services.jobs.estimates import Estimates
from comfyq.testing.memory.assets import MemoryAssets, StoredObject
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.notifier import MemoryNotifier
from comfyq.testing.memory.queue import MemoryQueue
from comfyq.testing.memory.table import MemoryTable
from tests.asgi_client import AsgiClient

WORKFLOWS = FolderWorkflows(Path(__file__).parents[1] / "workflows")
TTL = timedelta(seconds=120)
WORKER = WorkerId("w1")


def output(name: str = "a.png", *, kind: OutputKind = OutputKind.IMAGE, size: int = 10) -> Output:
    return Output(
        node="9",
        filename=name,
        kind=kind,
        content_type="image/png" if kind is OutputKind.IMAGE else "text/html",
        size=size,
        blake3="ab" * 32,
        key=f"outputs/{name}",
    )


class JobMoves:
    """Moves jobs as a worker would."""

    records: JobRecords

    async def start(self, job_id: str) -> Job:
        job = await self.change(job_id, partial(jobs.claim, worker=WORKER, ttl=TTL))
        return await self.change(job_id, partial(jobs.start, token=job.attempt))

    async def advance(self, job_id: str, progress: Progress) -> Job:
        job = await self.records.get(JobId(job_id))
        advance = partial(jobs.advance, token=job.attempt, ttl=TTL, progress=progress)
        return await self.change(job_id, advance)

    async def succeed(self, job_id: str, *outputs: Output) -> Job:
        job = await self.start(job_id)
        return await self.change(job_id, partial(jobs.succeed, token=job.attempt), outputs=outputs)

    async def fail(self, job_id: str, error: JobError) -> Job:
        job = await self.start(job_id)
        fail = partial(jobs.fail, token=job.attempt, error=error, retry_in=None)
        return await self.change(job_id, fail)

    async def change(
        self, job_id: str, change: Change, *, outputs: Sequence[Output] | None = None
    ) -> Job:
        job = await self.records.get(JobId(job_id))
        return await self.records.update(job, change, outputs=outputs)


class ApiLab(JobMoves):
    """The production services over in-memory ports; ``settings`` are variables of comfyq.config."""

    def __init__(
        self,
        *,
        linked_assets: bool = False,
        authenticator: Authenticator | None = None,
        notifier: Notifier | None = None,
        **settings: Any,
    ) -> None:
        self.clock = ManualClock()
        self.table = MemoryTable(clock=self.clock)
        self.queue = MemoryQueue(clock=self.clock)
        self.assets = MemoryAssets(linked=linked_assets)
        ports = Ports(
            table=self.table,
            queue=self.queue,
            assets=self.assets,
            clock=self.clock,
            notifier=notifier or MemoryNotifier(),
            close=lambda: None,
        )
        defaults: dict[str, Any] = {
            "COMFYQ_AUTH": "none",
            "COMFYQ_DATA_DIR": Path(tempfile.gettempdir()) / "comfyq-api-lab",
            "COMFYQ_RETENTION_S": 7 * 86_400,
            "COMFYQ_LINK_SECRET": "secret" * 8,
            "COMFYQ_UPLOAD_MAX_BYTES": 8_000_000,
        }
        self.services = services = Services(read_settings({}, **(defaults | settings)), ports)
        services.authenticator = authenticator or services.authenticator
        self._replace_what_draws(services)
        self.records = services.records
        self.files, self.workers = services.assets, services.workers
        self.run_times, self.uploads = services.run_times, services.uploads
        self.submission, self.dispatch = services.submission, services.dispatch
        self.batch_submission, self.admission = services.batch_submission, services.admission
        self.presigned_uploads, self.reaper = services.presigned_uploads, services.reaper
        self.reuse, self.intake = services.reuse, services.intake
        self.batches, self.dead_letters = services.batches, services.dead_letters
        self.app: FastAPI = api_app(services)
        self.client = AsgiClient(self.app, base_url="http://lab:8000")

    def _replace_what_draws(self, services: Services) -> None:
        """Draw seeds in order, and estimate without a cache."""
        drawn = count(1_000)
        services.workflows = WORKFLOWS
        services.admission = Admission(
            workflows=WORKFLOWS,
            catalogues=services.catalogues,
            draw_seed=lambda: next(drawn),
            rules=services.settings.node_rules,
        )
        services.estimates = Estimates(
            ready=services.ready,
            demand=services.demand,
            workers=services.workers,
            run_times=services.run_times,
            jobs=services.records,
            clock=self.clock,
            running=services.running_jobs,
            front_s=0,
        )

    def submit(self, **values: Any) -> dict[str, Any]:
        answer = self.client.post("/generate", json={"prompt": "a fox"} | values)
        assert answer.status_code == 202, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def show(self, job_id: str) -> dict[str, Any]:
        body: dict[str, Any] = self.client.get(f"/generate/{job_id}").json()
        return body

    async def expire(self, job_id: str) -> Job:
        self.clock.advance(86_400)
        return await self.change(job_id, jobs.reap)

    def store(self, stored: Output, content: bytes) -> None:
        self.assets.stored[stored.key] = StoredObject(content, stored.content_type)
