"""Workers as operators see them."""

from collections.abc import Callable, Iterable

from pydantic import BaseModel, Field

from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.job.client_text import for_clients
from comfyq.services.operations.live_workers import LiveWorker
from comfyq.wire.times import Time

JobUrl = Callable[[JobId], str]
"""job -> where it is shown"""


class HeldJobView(BaseModel):
    """A job that a worker holds."""

    id: str
    workflow: str
    running: bool = Field(description="False: its ComfyUI has not begun it.")
    progress: float = Field(ge=0, le=1)
    url: str

    @classmethod
    def of(cls, job: Job, *, url: str) -> "HeldJobView":
        return cls(
            id=job.id,
            workflow=job.workflow,
            running=job.status is JobStatus.RUNNING,
            progress=job.progress.fraction,
            url=url,
        )


class LiveWorkerView(BaseModel):
    """A worker that was heard of in the last seconds."""

    id: str = Field(description="It outlives the worker's process.")
    host: str
    version: str = Field(description="Of comfyq.")
    comfyui_version: str | None
    devices: list[str]
    simulated: bool
    environment: str | None = Field(
        description="Digest of its ComfyUI's version, custom nodes and packages, as far as its "
        "image or directory tells them; null: nothing tells."
    )
    family: str | None = Field(
        description="Of the job that it took last: its ComfyUI has loaded that family's models."
    )
    fetches: bool = Field(
        description="It fetches models that a job's lock names and that it lacks."
    )
    models: list[str] = Field(
        description="That are in its store of models: the first 16 digits of each SHA-256, of 512 "
        "models at most; none where it was told of no folder of models."
    )
    models_room: int | None = Field(
        description="Bytes of models that it may still fetch, with what it would delete for them; "
        "null where it fetches none."
    )
    jobs: list[HeldJobView] = Field(description="Those of your own that it holds.")
    faults: list[str] = Field(description="Why it takes no further jobs; none: it takes them.")
    foreign_prompts: int = Field(
        description="Prompts of others, sent to its ComfyUI without comfyq, that come before a job "
        "that it holds."
    )
    draining: bool = Field(description="It finishes what it has and takes no more.")
    since: Time = Field(description="When its process was started.")
    seen_at: Time = Field(description="When it last described itself.")

    @classmethod
    def of(cls, worker: LiveWorker, *, job_url: JobUrl) -> "LiveWorkerView":
        state = worker.state
        return cls(
            id=state.id,
            host=state.host,
            version=state.version,
            comfyui_version=state.engine_version,
            devices=list(state.devices),
            simulated=state.simulated,
            environment=state.environment,
            family=state.family,
            fetches=state.fetches,
            models=sorted(state.models),
            models_room=state.models_room,
            jobs=[HeldJobView.of(job, url=job_url(job.id)) for job in worker.jobs],
            faults=[for_clients(each) for each in (state.engine_reason, state.paused) if each],
            foreign_prompts=state.foreign_prompts,
            draining=state.draining,
            since=state.started_at,
            seen_at=state.seen_at,
        )


class WorkerList(BaseModel):
    workers: list[LiveWorkerView] = Field(description="By id.")

    @classmethod
    def of(cls, workers: Iterable[LiveWorker], *, job_url: JobUrl) -> "WorkerList":
        return cls(workers=[LiveWorkerView.of(worker, job_url=job_url) for worker in workers])
