"""Workers, a reaper and clients over in-memory ports: no network, no sleeping for leases."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.adapters.pictures.pillow import PillowPictures
from comfyq.adapters.pictures.previews import PillowPreviews
from comfyq.bootstrap.models.services import ModelServices
from comfyq.bootstrap.ports import Ports
from comfyq.bootstrap.services import Services
from comfyq.bootstrap.worker_ports import WorkerPorts
from comfyq.bootstrap.workers.job_parts import JobServices
from comfyq.config import LimitSettings, Settings
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.files.inputs import InputLimits
from comfyq.domain.files.output import Output
from comfyq.domain.job import Job, JobId, JobStatus, Limits, WorkerId
from comfyq.domain.job.estimate import Estimate
from comfyq.domain.submission.spec import Spec
from comfyq.ports.notifier import Connection
from comfyq.records.indexes.aside_jobs import AsideRecords
from comfyq.records.subscriptions import Subscription
from comfyq.services.files.job_files import JobFiles
from comfyq.services.models.fetch_policy import FetchPolicy
from comfyq.services.models.holders import ModelHolders
from comfyq.services.notify.announcer import Announcer
from comfyq.services.worker.choice.aside_jobs import AsideJobs
from comfyq.services.worker.disk_cleanup import DiskCleanup
from comfyq.services.worker.input_files import InputPreparer
from comfyq.services.worker.reporting.run_times import RunTimes
from comfyq.services.worker.timing import Timing
from comfyq.services.worker.turn import Turn
from comfyq.testing.memory.assets import MemoryAssets
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.journal import MemoryJournal
from comfyq.testing.memory.notifier import MemoryNotifier
from comfyq.testing.memory.queue import MemoryQueue
from comfyq.testing.memory.spool import MemorySpool
from comfyq.testing.memory.table import MemoryTable
from tests.scripted_engine import PowerCut, ScriptedEngine
from tests.scripted_fetcher import ScriptedFetcher

GRAPH: Mapping[str, Any] = {
    "3": {"class_type": "KSampler", "inputs": {"steps": 2}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "a"}},
}
INPUT_LIMITS = InputLimits(max_bytes=1_000_000, max_files=4, max_total_bytes=1_500_000, max_s=60)
FAST = Timing(
    watch_s=0.01,
    store_progress_s=0,
    push_progress_s=0,
    preview_s=0.01,
    backoff_s=0.001,
    backoff_most_s=0.002,
    upload_give_up_s=0.02,
    let_go_s=0.5,
    stop_s=1,
)


class Farm:
    """The production services over shared in-memory ports; ``worker`` makes a process that uses
    them."""

    def __init__(self, *, timing: Timing = FAST, running_jobs: int | None = None) -> None:
        self.timing = timing
        self.running_jobs = running_jobs
        self.clock = ManualClock()
        self.table = MemoryTable(clock=self.clock)
        self.queue = MemoryQueue(clock=self.clock)
        self.assets = MemoryAssets()
        self.notifier = MemoryNotifier()
        self.spool = MemorySpool()
        self.fetcher = ScriptedFetcher()
        self.journals: dict[str, MemoryJournal] = {}
        self.open()

    def open(self) -> None:
        """Make the services anew over what the ports are now."""
        settings = Settings(
            data_dir=Path(tempfile.gettempdir()) / "comfyq-farm",
            timing=self.timing,
            limits=LimitSettings(
                input_max_bytes=INPUT_LIMITS.max_bytes, running_jobs=self.running_jobs
            ),
        )
        ports = Ports(
            table=self.table,
            queue=self.queue,
            assets=self.assets,
            clock=self.clock,
            notifier=self.notifier,
            close=lambda: None,
        )
        self.services = services = Services(settings, ports)
        services.announcer = Announcer(
            records=services.records,
            followers=services.job_followers,
            batch_news=services.batch_news,
            render=_render,
            clock=self.clock,
            retention=services.retention,
            estimate=services.estimates.estimate,
        )
        self.records, self.files = services.records, services.assets
        self.subscriptions, self.announcer = services.followers, services.announcer
        self.reuse, self.reaper = services.reuse, services.reaper
        self.kinds = services.store_kinds

    def now_s(self) -> float:
        """Return the time of its clock in seconds."""
        return self.clock.now().timestamp()

    async def submit(
        self,
        *,
        spec: Spec | None = None,
        tenant: TenantId = DEFAULT_TENANT,
        workflow: str = "w",
        **limits: int,
    ) -> Job:
        job = jobs.submitted(
            id=JobId(str(uuid4())),
            tenant=tenant,
            workflow=workflow,
            created_at=self.clock.now(),
            limits=Limits(**limits),
        )
        await self.records.create(job, spec or Spec(graph=GRAPH, parameters={}))
        await self.queue.send(job.id, tenant=job.tenant)
        return job

    async def follow(self, job: Job, connection: str = "c1", *, previews: bool = False) -> None:
        follower = Subscription(
            Connection(connection, "http://gateway"), "http://api", previews=previews
        )
        await self.subscriptions.connect(follower.connection, OWNER, base_url="", now_s=0)
        now_s = int(self.clock.now().timestamp())
        await self.subscriptions.add(job.id, follower, now_s=now_s)

    async def cancel(self, job: Job) -> Job:
        asked = jobs.request_cancel(await self.records.get(job.id), now=self.clock.now())
        await self.records.save(asked)
        return asked

    async def until(self, job: Job, status: JobStatus) -> Job:
        """Wait for a job to get there."""
        async with asyncio.timeout(10):
            while job.status is not status:
                await asyncio.sleep(0.001)
                job = await self.records.get(job.id)
        return job

    def worker(
        self,
        name: str,
        engine: ScriptedEngine | None = None,
        *,
        disk_cleanup: DiskCleanup | None = None,
        models: ModelServices | None = None,
    ) -> "FarmWorker":
        return FarmWorker(self, name, engine or ScriptedEngine(), disk_cleanup, models)


def _render(job: Job, outputs: Sequence[Output], base_url: str, _: Estimate) -> bytes:
    return f"{job.status} {job.progress.fraction}".encode()


def _policy_of(farm: Farm, models: ModelServices, *, worker: WorkerId) -> FetchPolicy:
    """Return the policy of a worker, which sees at once what others tell of themselves."""
    holders = ModelHolders(
        own=worker,
        workers=farm.services.workers,
        clock=farm.clock,
        max_wait_s=farm.services.settings.worker.affinity_max_wait_s,
        look_s=-1,
    )
    return FetchPolicy(models.store, holders=holders, now_s=farm.now_s)


class FarmWorker:
    """One worker process; a second one of the same name is its restart."""

    def __init__(
        self,
        farm: Farm,
        name: str,
        engine: ScriptedEngine,
        disk_cleanup: DiskCleanup | None,
        models: ModelServices | None,
    ) -> None:
        self.farm, self.engine = farm, engine
        self.turns: list[str] = []
        ports = WorkerPorts(
            comfyui=engine,
            journal=farm.journals.setdefault(name, MemoryJournal()),
            spool=farm.spool,
            fetcher=farm.fetcher,
            pictures=PillowPictures(),
            previews=PillowPreviews(),
            disk_cleanup=disk_cleanup,
            models=models,
        )
        self.parts = parts = JobServices(farm.services, ports, worker=WorkerId(name))
        parts.run_times = RunTimes(records=farm.services.run_times, period_s=0)
        parts.preparer = InputPreparer(
            folder=engine,
            fetcher=farm.fetcher,
            pictures=ports.pictures,
            files=JobFiles(records=farm.files, outputs=farm.services.job_outputs),
            assets=farm.assets,
            limits=INPUT_LIMITS,
            disk_cleanup=disk_cleanup,
            again_s=0,
        )
        if models is not None:
            parts.fetch_policy = _policy_of(farm, models, worker=WorkerId(name))
        parts.aside = AsideJobs(
            aside=AsideRecords(farm.table),
            records=farm.records,
            capabilities=parts.capabilities,
            clock=farm.clock,
            now_s=farm.now_s,
        )
        self.capabilities, self.stopper = parts.capabilities, parts.stopper
        self.claims, self.executor = parts.claims, parts.executor
        self.membership = parts.membership
        self.run_times = parts.run_times

    @property
    def turn(self) -> Turn:
        return Turn(
            started=lambda: self.turns.append("started"), left=lambda: self.turns.append("left")
        )

    async def run_once(self) -> bool:
        """See one delivery through; False when none came."""
        delivery = await self.farm.queue.receive(wait_s=0)
        if delivery is None:
            return False
        held = await self.claims.claim(delivery)
        if held is not None:
            await self.executor.run(held, self.turn)
        return True

    async def run_aside(self) -> None:
        """Read the catalogue, and run every job that was set aside and that it suits."""
        await self.capabilities.object_info()
        await self.parts.aside.look()
        while (job := self.parts.aside.oldest()) is not None:
            self.parts.aside.take(job)
            held = await self.claims.claim_waiting(job.id)
            if held is not None:
                await self.executor.run(held, self.turn)

    async def dies(self) -> None:
        """Run once, up to the power cut in the engine's script."""
        with suppress(PowerCut):
            await self.run_once()

    async def retake(self) -> int:
        retaken = 0
        async for held in self.claims.retake():
            await self.executor.run(held, self.turn)
            retaken += 1
        return retaken
