"""The settings of a worker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from comfyq.config.variable import Variable
from comfyq.domain.job.preview import PreviewMethod
from comfyq.ports.queue import MAX_HIDE_S, MAX_WAIT_S, TAKEN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    ecs_agent_uri: Annotated[str | None, Variable("ECS_AGENT_URI")] = None
    """URL of ECS's agent, which protects the working task; ECS sets it in its containers."""
    worker_id: str | None = None
    """The worker's id; unset: made once and kept in the data directory."""
    depth: Annotated[int, Field(ge=1, le=8)] = 2
    """Prompts kept in ComfyUI's queue, from 1 to 8."""
    preparing: Annotated[int, Field(ge=1, le=64)] = 16
    """So many jobs may have their input files fetched beside the prompts in ComfyUI's queue."""
    affinity: bool = True
    """Prefer waiting jobs whose models ComfyUI holds."""
    affinity_max_wait_s: Annotated[float, Field(ge=0)] = 60
    """No job is passed over for longer."""
    drain_s: Annotated[float, Field(ge=0)] = 100
    """A running job may finish within that time when the worker is stopped."""
    beat_s: Annotated[float, Field(gt=0)] = 5
    """The worker writes its sign of life so often."""
    live_s: Annotated[float, Field(gt=0)] = 20
    """A worker without a sign of life for that long is not counted as live."""
    wait_s: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = 20
    """One long poll of the queue lasts that long."""
    visibility_s: Annotated[float, Field(gt=0, le=MAX_HIDE_S)] = TAKEN_S
    """A received message, a job's or a submission's, is hidden from other receivers for that long;
    that of a claimed job, as long as its lease."""
    spool_bytes: Annotated[int, Field(ge=0)] = 10 * 2**30
    """Results that storage refused may take so much of the worker's disk."""
    min_free_bytes: Annotated[int, Field(ge=0)] = 10**9
    """With less left on a disk that jobs need, the worker claims none."""
    silent_s: Annotated[float, Field(gt=0)] = 10
    """ComfyUI may be silent for so long before its prompts are given up."""
    unload_idle_s: Annotated[float | None, Field(gt=0)] = None
    """ComfyUI unloads its models when it has run nothing for so long; unset: it keeps them."""
    environment_file: Path | None = None
    """A description of what ComfyUI is installed with, as `comfyq images dockerfile` has an image
    write it; unset: the custom nodes in ComfyUI's directory, if that is named."""
    preview_method: PreviewMethod = PreviewMethod.AUTO
    """How ComfyUI, from 0.4.0 on, makes previews of running jobs: `auto`, `latent2rgb`, `taesd`,
    `none`, or `default`: as it was started."""
