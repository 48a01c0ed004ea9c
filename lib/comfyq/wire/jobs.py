"""Jobs as clients see them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.files.upload import UploadId
from comfyq.domain.job import Job, JobError, JobId, JobStatus, submitted
from comfyq.domain.job.estimate import NOTHING, Estimate
from comfyq.domain.submission.batch import BatchId
from comfyq.domain.submission.spec import Spec
from comfyq.services.files.signed_links import SignedLinks
from comfyq.services.jobs.accepted import Accepted
from comfyq.services.jobs.queries import Story
from comfyq.wire.frames import STATUSES, FrameStatus
from comfyq.wire.times import Time


class JobUrls(BaseModel):
    """Where to go on from here."""

    self: str
    cancel: str = Field(description="`DELETE` it.")
    ws: str = Field(description="Progress, pushed.")


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


class JobView(BaseModel):
    """A job. What it was asked for (`seed`, `warnings`) stands in the answer to its submission and
    once it has ended."""

    id: str
    status: FrameStatus = Field(description="A job that never started in time has `failed`.")
    progress: float = Field(ge=0, le=1)
    image_url: str | None = Field(None, description="The first image, once completed.")
    error: str | None = Field(None, description="Why it failed, readable.")
    error_code: str | None = Field(None, description="Why it failed; stable.")
    workflow: str
    step: int = Field(0, description="Of the node that is executing.")
    max_steps: int = 0
    eta_s: int | None = Field(
        None,
        description="Seconds until it may have ended, estimated from earlier runs of its workflow "
        "and its own pace. Told by `GET /generate/{id}` alone; null where too little is known.",
    )
    queue_position: int | None = Field(
        None,
        description="Estimated: 1 is the next, 0 is with a worker already. Told by "
        "`GET /generate/{id}` alone, of a queued job; null beyond the first hundred.",
    )
    seq: int = Field(0, description="Grows with each change; as in progress frames.")
    attempt: int = Field(0, description="Progress never falls within one; as in frames.")
    created_at: Time
    started_at: Time | None = None
    ended_at: Time | None = None
    cancel_requested: bool = False
    seed: int | None = Field(None, description="As given or drawn.")
    warnings: list[str] = Field([], description="What was accepted without effect.")
    outputs: list[OutputView] = []
    reused_from: str | None = Field(None, description="The job that made the outputs.")
    urls: JobUrls


class JobList(BaseModel):
    """A page of jobs, newest first."""

    jobs: list[JobView]
    next_cursor: str | None = Field(description="`cursor` of the next page; null: there is none.")


class AttemptView(BaseModel):
    """One worker's try."""

    number: int
    worker: str
    claimed_at: Time
    started_at: Time | None = Field(None, description="When ComfyUI began it, if it did.")
    ended_at: Time
    verdict: str = Field(description="succeeded, failed, canceled, released or lost.")
    reason: str | None = None


class StoryView(JobView):
    """All that is known of a job."""

    parameters: Mapping[str, Any] = Field(description="Resolved: asking for them again repeats it.")
    failures: int = Field(description="Attempts that ended badly after ComfyUI had begun them.")
    attempts: list[AttemptView] = Field(description="Those that have ended.")


class JobViews:
    """Shows jobs to one client, with links below its ``base_url`` (no slash at its end).

    ``ws_url`` is where its progress is pushed: ``{id}`` in it stands for the job.
    """

    def __init__(self, *, base_url: str, ws_url: str, links: SignedLinks) -> None:
        self._base_url = base_url
        self._ws_url = ws_url
        self._links = links

    def job(self, job: Job, *, spec: Spec | None = None, outputs: Sequence[Output] = ()) -> JobView:
        return JobView.model_validate(self._fields(job, spec, outputs))

    def live(self, job: Job, estimate: Estimate = NOTHING) -> JobView:
        """A job that goes on, with what is guessed of it."""
        told = {"eta_s": estimate.eta_s, "queue_position": estimate.queue_position}
        return JobView.model_validate(self._fields(job, None, ()) | told)

    def accepted(self, accepted: Accepted) -> JobView:
        """The answer to a submission, and to every replay of it whatever became of the job."""
        job, spec = accepted.job, accepted.spec
        if job.reused_from is not None:
            return self.job(job, spec=spec, outputs=accepted.outputs)
        new = submitted(
            id=job.id, tenant=job.tenant, workflow=job.workflow, created_at=job.created_at
        )
        return self.job(new, spec=spec)

    def story(self, story: Story) -> StoryView:
        attempts = [AttemptView.model_validate(a, from_attributes=True) for a in story.attempts]
        fields = self._fields(story.job, story.spec, story.outputs)
        return StoryView(
            **fields,
            parameters=story.spec.parameters,
            failures=story.job.failures,
            attempts=attempts,
        )

    def self_url(self, job_id: JobId) -> str:
        return f"{self._base_url}/generate/{job_id}"

    def asset_url(self, asset_id: AssetId) -> str:
        return f"{self._base_url}/assets/{asset_id}"

    def complete_url(self, upload_id: UploadId) -> str:
        return f"{self._base_url}/assets/uploads/{upload_id}/complete"

    def batch_url(self, batch_id: BatchId) -> str:
        return f"{self._base_url}/generate/batch/{batch_id}"

    def _fields(self, job: Job, spec: Spec | None, outputs: Sequence[Output]) -> dict[str, Any]:
        shown = [self._output(job.id, index, output) for index, output in enumerate(outputs)]
        images = [output.url for output in shown if output.kind is OutputKind.IMAGE]
        failure = failure_of(job)
        return {
            "id": job.id,
            "status": STATUSES[job.status],
            "progress": job.progress.fraction,
            "image_url": images[0] if images else None,
            "error": error_text(failure) if failure else None,
            "error_code": failure.code if failure else None,
            "workflow": job.workflow,
            "step": job.progress.step,
            "max_steps": job.progress.max_steps,
            "seq": job.version,
            "attempt": job.attempt,
            "created_at": job.created_at,
            "started_at": job.started_at,
            "ended_at": job.ended_at,
            "cancel_requested": job.cancel_requested,
            "seed": spec.parameters.get("seed") if spec else None,
            "warnings": list(spec.warnings) if spec else [],
            "outputs": shown,
            "reused_from": job.reused_from,
            "urls": self._urls(job.id),
        }

    def _urls(self, job_id: JobId) -> JobUrls:
        own = self.self_url(job_id)
        return JobUrls(self=own, cancel=own, ws=self._ws_url.replace("{id}", job_id))

    def _output(self, job_id: JobId, index: int, output: Output) -> OutputView:
        return OutputView(
            index=index,
            node=output.node,
            filename=output.filename,
            kind=output.kind,
            content_type=output.content_type,
            size=output.size,
            blake3=output.blake3,
            url=self._links.output(self._base_url, job_id, index),
            text=output.text,
        )


def failure_of(job: Job) -> JobError | None:
    """Why the job failed; the error of an attempt that will be repeated is not the job's."""
    return job.error if job.status in (JobStatus.FAILED, JobStatus.EXPIRED) else None


def error_text(error: JobError) -> str:
    """Everything that is known of an error, for a person."""
    return "\n".join((error.message, *error.details))
