"""The HTTP API over in-memory ports, with jobs that a test moves by hand."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from starlette.testclient import TestClient

from comfyq.adapters.filesystem.spool import FileSpool
from comfyq.adapters.filesystem.workflows import FolderWorkflows
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_CALLER
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.files.upload import UploadId
from comfyq.domain.job import Job, JobError, JobId, WorkerId
from comfyq.domain.job.progress import Progress
from comfyq.domain.submission.batch import BatchId
from comfyq.edges.api.app import create_app
from comfyq.edges.api.dependencies import ApiServices
from comfyq.edges.intake.reading import read_request
from comfyq.records.assets import AssetRecords
from comfyq.records.batches import BatchRecords
from comfyq.records.catalogues import CatalogueRecords
from comfyq.records.dead_letters import DeadLetterRecords
from comfyq.records.families import FamilyRecords
from comfyq.records.jobs import JobRecords
from comfyq.records.results import ResultRecords
from comfyq.records.run_times import RunTimeRecords
from comfyq.records.subscriptions import SubscriptionRecords
from comfyq.records.uploads import UploadRecords
from comfyq.records.workers import WorkerRecords
from comfyq.services.files.downloads import Downloads
from comfyq.services.files.presigned_uploads import PresignedUploads
from comfyq.services.files.signed_links import SignedLinks
from comfyq.services.files.uploads import Uploads
from comfyq.services.jobs.admission import Admission
from comfyq.services.jobs.batches import Batches
from comfyq.services.jobs.estimates import Estimates
from comfyq.services.jobs.input_files import InputFiles
from comfyq.services.jobs.intake import Intake
from comfyq.services.jobs.result_cache import ResultCache
from comfyq.services.jobs.submission import Submission
from comfyq.services.notify.announcer import Announcer
from comfyq.services.operations.dead_letters import DeadLetters
from comfyq.services.operations.health import Health
from comfyq.services.workflows.library import WorkflowLibrary
from comfyq.services.workflows.node_catalogues import NodeCatalogues
from comfyq.testing.memory.assets import MemoryAssets, StoredObject
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.notifier import MemoryNotifier
from comfyq.testing.memory.queue import MemoryQueue
from comfyq.testing.memory.table import MemoryTable

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


async def _nobody_follows(*_: Any) -> bytes:
    raise AssertionError("nobody follows these jobs")


class ApiLab:
    """``app`` and everything behind it; services are as ``settings`` of ApiServices say."""

    def __init__(
        self,
        *,
        linked_assets: bool = False,
        requests_per_minute: int | None = None,
        scale_to_zero: bool = False,
        max_input_bytes: int = 8_000_000,
        **settings: Any,
    ) -> None:
        self._ids, self._drawn = count(1), count(1_000)
        self.clock = ManualClock()
        self.table = MemoryTable(clock=self.clock)
        self.queue = MemoryQueue(clock=self.clock)
        self.assets = MemoryAssets(linked=linked_assets)
        self.records = JobRecords(self.table, new_write_id=self._write_id)
        self.families = FamilyRecords(self.table)
        self.files = AssetRecords(self.table)
        self.run_times = RunTimeRecords(self.table)
        self.workers = WorkerRecords(self.table)
        self.catalogues = self._catalogues()
        self.admission = Admission(
            workflows=WORKFLOWS,
            catalogues=self.catalogues,
            draw_seed=lambda: next(self._drawn),
        )
        self.uploads = self._uploads(max_input_bytes)
        self.submission = self._submission(requests_per_minute)
        self.intake, self.dead_letters = self._intake_and_graves()
        self.batches = self._batches()
        self.links = SignedLinks(secret=b"secret", clock=self.clock)
        health = Health(workers=self.workers, clock=self.clock, scale_to_zero=scale_to_zero)
        self.api = self._services(health, settings)
        self.app: FastAPI = create_app(api=self.api)
        self.client = TestClient(
            self.app, base_url="http://lab:8000", raise_server_exceptions=False
        )

    def _write_id(self) -> str:
        return f"w{next(self._ids)}"

    def _id(self) -> str:
        return str(UUID(int=next(self._ids)))

    async def _links(self) -> SignedLinks:
        return self.links

    def _catalogues(self) -> NodeCatalogues:
        return NodeCatalogues(
            workers=self.workers,
            records=CatalogueRecords(self.table),
            assets=self.assets,
            clock=self.clock,
            live_s=20,
        )

    def _uploads(self, max_bytes: int) -> Uploads:
        return Uploads(
            records=self.files,
            assets=self.assets,
            spool=FileSpool(folder=Path(tempfile.gettempdir()) / "comfyq-api-lab"),
            clock=self.clock,
            new_id=lambda: AssetId(self._id()),
            retention=timedelta(days=30),
            max_bytes=max_bytes,
        )

    def _submission(self, requests_per_minute: int | None) -> Submission:
        self.reuse = ResultCache(
            records=self.records,
            results=ResultRecords(self.table),
            clock=self.clock,
            retention=timedelta(days=7),
        )
        return Submission(
            families=self.families,
            records=self.records,
            queue=self.queue,
            admission=self.admission,
            input_files=InputFiles(uploads=self.uploads),
            reuse=self.reuse,
            announcer=self._announcer(),
            clock=self.clock,
            new_id=lambda: JobId(self._id()),
            requests_per_minute=requests_per_minute,
        )

    def _announcer(self) -> Announcer:
        return Announcer(
            records=self.records,
            subscriptions=SubscriptionRecords(self.table),
            notifier=MemoryNotifier(),
            render=_nobody_follows,
            clock=self.clock,
            retention=timedelta(days=7),
        )

    def _intake_and_graves(self) -> tuple[Intake, DeadLetters]:
        graves = DeadLetterRecords(self.table)
        intake = Intake(
            caller=DEFAULT_CALLER,
            read=read_request,
            submission=self.submission,
            jobs=self.records,
            dead_letters=graves,
            clock=self.clock,
        )
        return intake, DeadLetters(
            records=graves,
            jobs=self.records,
            queue=self.queue,
            resubmission=intake,
            clock=self.clock,
        )

    def _batches(self) -> Batches:
        return Batches(
            records=BatchRecords(self.table, new_write_id=self._write_id, kept=timedelta(days=14)),
            jobs=self.records,
            families=self.families,
            submission=self.submission,
            queue=self.queue,
            clock=self.clock,
            new_id=lambda: BatchId(self._id()),
        )

    def _services(self, health: Health, settings: Mapping[str, Any]) -> ApiServices:
        return ApiServices(
            submission=self.submission,
            estimates=self._estimates(),
            downloads=Downloads(records=self.records, assets=self.assets, links=self._links),
            dead_letters=self.dead_letters,
            batches=self.batches,
            uploads=self.uploads,
            presigned_uploads=PresignedUploads(
                records=UploadRecords(self.table),
                uploads=self.uploads,
                assets=self.assets,
                clock=self.clock,
                new_id=lambda: UploadId(self._id()),
            ),
            health=health,
            library=WorkflowLibrary(workflows=WORKFLOWS, catalogues=self.catalogues),
            links=self._links,
            version="1.2.3",
            **settings,
        )

    def _estimates(self) -> Estimates:
        return Estimates(
            records=self.records,
            families=self.families,
            workers=self.workers,
            run_times=self.run_times,
            clock=self.clock,
            live_s=20,
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

    async def start(self, job_id: str) -> Job:
        job = await self._change(job_id, partial(jobs.claim, worker=WORKER, now=self._now, ttl=TTL))
        return await self._change(job_id, partial(jobs.start, token=job.attempt, now=self._now))

    async def advance(self, job_id: str, progress: Progress) -> Job:
        job = await self.records.get(JobId(job_id))
        change = partial(jobs.advance, token=job.attempt, now=self._now, ttl=TTL, progress=progress)
        return await self._change(job_id, change)

    async def succeed(self, job_id: str, *outputs: Output) -> Job:
        job = await self.start(job_id)
        change = partial(jobs.succeed, token=job.attempt, now=self._now)
        return await self._change(job_id, change, outputs=outputs)

    async def fail(self, job_id: str, error: JobError) -> Job:
        job = await self.start(job_id)
        change = partial(jobs.fail, token=job.attempt, now=self._now, error=error, retry_in=None)
        return await self._change(job_id, change)

    async def expire(self, job_id: str) -> Job:
        self.clock.advance(86_400)
        return await self._change(job_id, partial(jobs.reap, now=self._now))

    def store(self, stored: Output, content: bytes) -> None:
        self.assets.stored[stored.key] = StoredObject(content, stored.content_type)

    @property
    def _now(self) -> datetime:
        return self.clock.now()

    async def _change(
        self, job_id: str, change: Callable[[Job], Job], *, outputs: Sequence[Output] | None = None
    ) -> Job:
        job = change(await self.records.get(JobId(job_id)))
        await self.records.save(job, outputs=outputs)
        return job
