"""The answer to “would a job run now?”"""

from typing import Any, Literal

from pydantic import BaseModel, Field

from comfyq.domain.job.client_text import for_clients
from comfyq.records.workers import WorkerState
from comfyq.services.operations.health import HealthReport
from comfyq.wire.times import Time


class WorkerView(BaseModel):
    """A worker that was heard of in the last seconds.

    Every tenant may ask, so where clients need an API key, what names a machine, a worker or a job
    is left out.
    """

    id: str | None = Field(description="null where clients need an API key.")
    host: str | None = Field(description="null where clients need an API key.")
    pid: int | None = Field(description="null where clients need an API key.")
    version: str
    comfyui_available: bool
    comfyui_version: str | None
    reason: str | None = Field(description="Why it takes no jobs.")
    devices: list[str]
    simulated: bool
    foreign_prompts: int = Field(
        description="Prompts of others, sent to its ComfyUI without comfyq, that come before a job "
        "that it holds."
    )
    draining: bool = Field(description="It finishes what it has and takes no more.")
    jobs: list[str] | None = Field(
        description="Ids of the jobs that it holds; null where clients need an API key: there, "
        "`GET /workers` shows an administrator those of its tenant."
    )
    started_at: Time
    seen_at: Time

    @classmethod
    def of(cls, worker: WorkerState, *, is_public: bool) -> "WorkerView":
        return cls(
            id=None if is_public else worker.id,
            host=None if is_public else worker.host,
            pid=None if is_public else worker.pid,
            version=worker.version,
            comfyui_available=worker.engine_ok,
            comfyui_version=worker.engine_version,
            reason=for_clients(worker.engine_reason or worker.paused or "") or None,
            devices=list(worker.devices),
            simulated=worker.simulated,
            foreign_prompts=worker.foreign_prompts,
            draining=worker.draining,
            jobs=None if is_public else list(worker.jobs),
            started_at=worker.started_at,
            seen_at=worker.seen_at,
        )


class StateView(BaseModel):
    """What a load balancer or a supervisor asks for; a server that is not so answers a problem."""

    status: Literal["live", "ready"]


class HealthView(BaseModel):
    """All but the first three are null where clients need an API key and none was shown."""

    status: Literal["healthy", "degraded"]
    comfyui_available: bool
    version: str
    reason: str | None = Field(description="Why it is degraded, idle, or busy with others.")
    simulated: bool | None = Field(
        description="Only simulated ComfyUIs answer: pictures are not real."
    )
    stalls: int | None = Field(
        description="Times since its start that this process did nothing else for 250 ms; its log "
        "has what kept it."
    )
    broken_workflows: list[str] | None = Field(
        description="Names of the workflows that are broken and not served; `GET /workflows` says "
        "why."
    )
    paused_webhook_receivers: int | None = Field(
        description="Receivers of webhooks to which nothing has arrived for days; `GET /webhooks` "
        "names your tenant's. Where clients need an API key, an operator is told of all tenants' "
        "(as `/metrics` is), an administrator of its own tenant's, and nobody else: null. null as "
        "well while the table does not answer."
    )
    workers: list[WorkerView] | None

    @classmethod
    def for_strangers(cls, report: HealthReport, *, version: str) -> "HealthView":
        """Show what a load balancer asks for, and nothing of machines or workflows."""
        told: dict[str, Any] = dict.fromkeys(cls.model_fields)
        told["status"] = "healthy" if report.healthy else "degraded"
        told["comfyui_available"] = report.comfyui_available
        return cls(**told | {"version": version})

    @classmethod
    def of(cls, report: HealthReport, *, version: str, is_shared: bool) -> "HealthView":
        """Show a report; one that tenants share leaves out ids, hosts, processes and jobs."""
        return cls(
            status="healthy" if report.healthy else "degraded",
            comfyui_available=report.comfyui_available,
            version=version,
            reason=for_clients(report.reason or "") or None,
            simulated=report.simulated,
            stalls=report.stalls,
            broken_workflows=list(report.broken_workflows),
            paused_webhook_receivers=report.paused_receivers,
            workers=[WorkerView.of(worker, is_public=is_shared) for worker in report.workers],
        )
