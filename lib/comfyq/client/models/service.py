"""Workflows, workers, keys, files: what else a server tells of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from comfyq.client.models.reading import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset(Model):
    """A stored file of yours. The same bytes are one and the same asset."""

    id: str = ""
    source: str = ""  # what a request says where it takes a file
    filename: str = ""
    content_type: str = ""
    size: int = 0
    blake3: str = ""
    url: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None  # each use moves it on


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile(Model):
    """A file that a workflow loads."""

    file: str = ""
    folder: str = ""  # below ComfyUI's `models`
    url: str = ""  # where people get it
    note: str = ""
    available: bool | None = None  # None: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomNodes(Model):
    """A git repository of custom nodes that a workflow needs."""

    repository: str = ""
    commit: str = ""
    classes: Sequence[str] = ()  # of nodes that it brings, as far as its author says


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSummary(Model):
    """A workflow in a list."""

    name: str = ""
    title: str = ""
    description: str = ""
    version: str = ""
    available: bool | None = None  # whether a known worker could run it; None: no worker is known
    reasons: Sequence[str] = ()  # why it is not available
    forbidden: bool = False
    takes: Sequence[str] = ()  # kinds of the files that its parameters take: image, mask, video …


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow(WorkflowSummary):
    """All that is to be known for using a workflow."""

    family: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)  # JSON Schema of a request's values
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    negative_prompts: Mapping[str, str] = field(default_factory=dict)
    sample: Mapping[str, Any] = field(default_factory=dict)  # values that work
    models: Sequence[ModelFile] = ()
    nodes: Sequence[CustomNodes] = ()  # that a worker's image needs for it
    outputs: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthWorker(Model):
    """A worker, as everyone may see it."""

    id: str | None = None
    host: str | None = None
    pid: int | None = None
    version: str = ""
    comfyui_available: bool = False
    comfyui_version: str | None = None
    reason: str | None = None  # why it takes no jobs
    devices: Sequence[str] = ()
    simulated: bool = False
    foreign_prompts: int = 0
    draining: bool = False
    jobs: Sequence[str] | None = None
    started_at: datetime | None = None
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Health(Model):
    """Tells whether a job would run now. A server that asks for keys tells more than the first
    three only to whom it knows."""

    status: str = ""  # healthy or degraded
    comfyui_available: bool = False
    version: str = ""
    reason: str | None = None
    simulated: bool = False
    stalls: int = 0
    broken_workflows: Sequence[str] = ()
    paused_webhook_receivers: int | None = None  # None: this server does not tell it
    workers: Sequence[HealthWorker] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldJob(Model):
    """A job of yours that a worker holds."""

    id: str = ""
    workflow: str = ""
    running: bool = False
    progress: float = 0.0
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker(Model):
    """A worker, as administrators see it."""

    id: str = ""
    host: str = ""
    version: str = ""
    comfyui_version: str | None = None
    devices: Sequence[str] = ()
    simulated: bool = False
    environment: str | None = None  # digest of ComfyUI's version, custom nodes and packages
    family: str | None = None  # of the job that it took last
    fetches: bool = False  # models that a job's lock names and that it lacks
    models: Sequence[str] = ()  # that are in its store: how their hashes begin
    models_room: int | None = None  # bytes of models that it may still fetch
    jobs: Sequence[HeldJob] = ()
    faults: Sequence[str] = ()  # why it takes no jobs
    foreign_prompts: int = 0
    draining: bool = False
    since: datetime | None = None
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(Model):
    """An API key."""

    id: str = ""
    tenant: str = ""
    name: str = ""
    scopes: Sequence[str] = ()
    created_at: datetime | None = None
    expires_at: datetime | None = None  # None: never
    last_used_at: datetime | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey(ApiKey):
    """A key that was just made."""

    key: str = field(default="", repr=False)  # what its holder shows; no other answer has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(Model):
    """One webhook of a job, and what became of it."""

    id: str = ""
    type: str = ""
    timestamp: datetime | None = None
    status: str = ""  # pending, delivered, failed or dropped
    attempts: int = 0
    response_code: int | None = None
    error: str | None = None
    next_try_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate(Model):
    """A limit on requests, whose tokens come back evenly."""

    of: str = ""  # key, subject or tenant
    limit: int = 0
    window_s: int = 0
    remaining: int = 0
    full_in_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(Model):
    """A limit, and what is used of it."""

    limit: int = 0
    used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Model):
    """The jobs of a day."""

    limit: int | None = None  # None: as many as you like
    used: int | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota(Model):
    """Your limits, and how much of them you have used."""

    tenant: str = ""
    scopes: Sequence[str] = ()  # what you may do
    requests: Sequence[Rate] = ()
    jobs_per_day: Day = field(default_factory=Day)
    waiting_jobs: Share = field(default_factory=Share)
    stored_bytes: Share = field(default_factory=Share)
    output_bytes: Share | None = None  # None: as many as you like, and nobody counts
