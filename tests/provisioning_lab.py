"""Workers that fetch models from one hub, each beside a ComfyUI that lists what is in a folder."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from comfyq.bootstrap.models.services import ModelServices
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.job import Job, JobStatus, WorkerId
from comfyq.domain.models.lock import LockedModel
from comfyq.domain.submission.spec import Spec
from comfyq.records.workers import KEPT_S, WorkerState, short
from comfyq.services.models.upkeep import ModelUpkeep
from tests.farm import Farm, FarmWorker
from tests.model_hub import Fault, ModelHub, safetensors
from tests.model_lab import FILE, ModelLab
from tests.scripted_engine import CLASSES, ScriptedEngine

MODEL, LIE = safetensors(), safetensors(seed="b")
SAVE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}


class FolderEngine(ScriptedEngine):
    """A ComfyUI that lists the files of a folder; ``reads`` counts how often it was asked."""

    def __init__(self, folder: Path, *others: str) -> None:
        super().__init__()
        self.folder, self.others, self.reads = folder, others, 0

    async def object_info(self) -> Mapping[str, Any]:
        self.reads += 1
        files = sorted(each.name for each in self.folder.glob("*") if each.is_file())
        names = [*files, *self.others]
        loader = {"input": {"required": {"name": [names, {}]}}, "output": ["IMAGE"]}
        return {**CLASSES, "Loader": loader}


@dataclass
class Lab:
    """Workers with folders of their own, and one hub."""

    farm: Farm
    hub: ModelHub
    folder: Path

    def worker(self, name: str, *others: str, read: str = "loras", **options: Any) -> FarmWorker:
        models = ModelLab(self.hub, self.folder / name, **options)
        services = ModelServices(
            models.root, models.store, models.fetcher, models.locking, ModelUpkeep(models.store)
        )
        engine = FolderEngine(models.root / read, *others)
        worker = self.farm.worker(name, engine, models=services)
        self.waited = models.waited
        return worker

    def model(self, content: bytes = MODEL, file: str = FILE) -> LockedModel:
        return ModelLab(self.hub, self.folder).locked(content, file=file)

    async def submit(self, *models: LockedModel, tenant: TenantId = DEFAULT_TENANT) -> Job:
        graph = {
            str(number): {"class_type": "Loader", "inputs": {"name": model.file}}
            for number, model in enumerate(models, 1)
        }
        spec = Spec(graph={**graph, "9": SAVE}, parameters={}, models=models)
        job = await self.farm.submit(spec=spec, tenant=tenant)
        await self.farm.services.demand.note(job)
        self.farm.clock.advance(0.001)  # the next one comes after it
        return job

    async def tell(self, name: str, *models: LockedModel, **said: Any) -> None:
        """Let a worker tell which models it holds, as its heartbeat does."""
        now = self.farm.clock.now()
        state = WorkerState(
            id=WorkerId(name),
            pid=1,
            host="h",
            version="1",
            engine_ok=True,
            fetches=True,
            models=frozenset(short(each.sha256) for each in models),
            models_room=10**12,
            seen_at=now,
            started_at=now,
        )
        await self.farm.services.workers.beat(replace(state, **said), ttl_s=KEPT_S)

    async def left(self, job: Job) -> str | None:
        """Return what a job that was set aside waits for; None: it is not aside."""
        now = await self.farm.records.get(job.id)
        return now.note if now.is_aside else None

    def faulty(self, *faults: Fault) -> None:
        assert self.hub.cdn is not None
        self.hub.cdn.faults += faults

    def fetched(self) -> int:
        assert self.hub.cdn is not None
        return len(self.hub.cdn.bytes_asked())

    async def story(self, job: Job) -> tuple[JobStatus, str, str]:
        """Return a job's status, its error's code, and why."""
        now = await self.farm.records.get(job.id)
        error = now.error
        return now.status, error.code if error else "", error.message if error else now.note or ""
