"""Jobs as clients see them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from comfyq.domain.files.output import OutputKind
from comfyq.domain.job.model import NORMAL_PRIORITY
from comfyq.domain.job.shown_status import ShownStatus
from comfyq.wire.generate.provisioning import ProvisioningView
from comfyq.wire.times import Time


class JobUrls(BaseModel):
    """Links of a job."""

    self: str
    cancel: str = Field(description="`DELETE` it.")
    ws: str = Field(description="A WebSocket that pushes progress.")
    ws_subscribe: Mapping[str, str] | None = Field(
        None, description="The frame to send on it; null: it subscribes by itself."
    )
    events: str | None = Field(
        None, description="Progress as server-sent events; null: not served here."
    )


class OutputView(BaseModel):
    """One file that the job made."""

    index: int
    node: str = Field(description="Id of the node that made it.")
    filename: str
    kind: OutputKind
    content_type: str
    size: int = Field(description="Bytes.")
    blake3: str = Field(description="Hex digest of the file.")
    url: str = Field(description="Signed; good for some days, then ask for the job again.")
    text: str | None = Field(None, description="A text output, inline.")


MoreOutputs = Annotated[
    str | None, Field(description="Where outputs that follow are listed; null: there are no more.")
]


class OutputList(BaseModel):
    """Outputs of a job in order, as many as an answer has room for."""

    outputs: list[OutputView]
    more_outputs: MoreOutputs


class JobView(BaseModel):
    """A job. `warnings` stand in the answer to its submission and once it has ended."""

    id: str
    status: ShownStatus = Field(description="A job that never started in time has `failed`.")
    progress: float = Field(ge=0, le=1)
    image_url: str | None = Field(None, description="The first image, once completed.")
    error: str | None = Field(None, description="Why it failed, readable.")
    error_code: str | None = Field(None, description="Why it failed; stable.")
    workflow: str
    title: str | None = Field(
        None,
        description="How its prompt begins, on one line, or the prompt of a graph of one's own, if "
        "one is found; for who may read.",
    )
    labels: Mapping[str, str] = Field({}, description="As its request gave them.")
    step: int = Field(0, description="Of the node that is executing.")
    max_steps: int = 0
    node: str | None = Field(None, description="Id of the node that is executing.")
    node_class: str | None = Field(None, description="Its class.")
    nodes_done: int = Field(0, description="Nodes whose results ComfyUI had already are done, too.")
    nodes_total: int = Field(0, description="Of its graph; 0 before a worker has begun it.")
    provisioning: ProvisioningView | None = Field(
        None, description="Of a queued job whose worker fetches models that it needs; or null."
    )
    eta_s: int | None = Field(
        None,
        description="Seconds until it may have ended, estimated from earlier runs of its workflow "
        "and its own pace. Told by `GET /generate/{id}` and in lists; null where too little is "
        "known.",
    )
    queue_position: int | None = Field(
        None,
        description="Estimated, among your own jobs: 1 is the next, 0 is with a worker already. "
        "Told by `GET /generate/{id}` and in lists, of a queued job; null beyond the first "
        "hundred.",
    )
    queue_position_above: int | None = Field(
        None,
        description="Of a queued job that is too far back for a position: at least so many of your "
        "jobs are before it.",
    )
    seq: int = Field(0, description="Grows with each change; as in progress frames.")
    attempt: int = Field(0, description="Progress never falls within one; as in frames.")
    priority: int = Field(
        NORMAL_PRIORITY, description="Of your waiting jobs, a higher one is run first."
    )
    created_at: Time
    started_at: Time | None = None
    ended_at: Time | None = None
    cancel_requested: bool = False
    waits_for: str | None = Field(
        None,
        description="Of a queued job: models that its worker fetches, what the workers lack that "
        "it needs, why none of them takes "
        "jobs now, that ComfyUI runs prompts of others first, that as many jobs of yours are with "
        "workers as may be, or that one of them runs before it on its worker. Told by "
        "`GET /generate/{id}` and in lists.",
    )
    seed: int | None = Field(
        None,
        description="As given or drawn; null for good where the workflow has none, or where the "
        "request has a graph of its own, which keeps its seeds.",
    )
    warnings: list[str] = Field(
        [],
        description="What was accepted without effect, and once it has completed what of its "
        "results could not be collected.",
    )
    outputs: list[OutputView] = []
    more_outputs: MoreOutputs = None
    simulated: bool = Field(
        False, description="A simulator works on it, or made its outputs: no picture is real."
    )
    retry_of: str | None = Field(None, description="The job that this one tries again.")
    reused_from: str | None = Field(None, description="The job that made the outputs.")
    urls: JobUrls


class JobList(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null: there is none.")


class AttemptView(BaseModel):
    """One worker's try."""

    number: int
    worker: str = Field(description="Its name for operators; for others one that stands for it.")
    claimed_at: Time
    started_at: Time | None = Field(None, description="When ComfyUI began it, if it did.")
    ended_at: Time
    verdict: str = Field(description="succeeded, failed, canceled, released or lost.")
    reason: str | None = None


class RunningAttemptView(BaseModel):
    """The try of the worker that holds the job."""

    number: int
    worker: str = Field(description="Its name for operators; for others one that stands for it.")
    claimed_at: Time
    started_at: Time | None = Field(None, description="When ComfyUI began it, if it did.")


class StoryView(JobView):
    """All that is known of a job."""

    parameters: Mapping[str, Any] = Field(description="Resolved: asking for them again repeats it.")
    failures: int = Field(description="Attempts that ended badly after ComfyUI had begun them.")
    running_attempt: RunningAttemptView | None = Field(
        None, description="That of the worker which has the job now."
    )
    attempts: list[AttemptView] = Field(description="Those that have ended.")
