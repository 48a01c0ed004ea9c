"""Show jobs to one client, with links to where it can go on from there."""

from collections.abc import Sequence
from typing import Any

from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobId, submitted
from comfyq.domain.job.estimate import NOTHING, Estimate
from comfyq.domain.submission.spec import Spec
from comfyq.edges.api.links import Links
from comfyq.services.jobs.accepted import Accepted
from comfyq.services.jobs.queries import Story
from comfyq.wire.generate.jobs import AttemptView, JobUrls, JobView, OutputView, StoryView
from comfyq.wire.generate.statuses import STATUSES, error_text, failure_of


class JobViews:
    """Shows jobs with the URLs that ``links`` makes."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def job(self, job: Job, *, spec: Spec | None = None, outputs: Sequence[Output] = ()) -> JobView:
        return JobView.model_validate(self._fields(job, spec, outputs))

    def live(self, job: Job, estimate: Estimate = NOTHING) -> JobView:
        """Show a job that goes on, with what is estimated of it."""
        estimated = {"eta_s": estimate.eta_s, "queue_position": estimate.queue_position}
        return JobView.model_validate(self._fields(job, None, ()) | estimated)

    def accepted(self, accepted: Accepted) -> JobView:
        """Show the answer to a submission, and to every replay of it whatever became of the job."""
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
            "simulated": job.simulated,
            "reused_from": job.reused_from,
            "urls": self._urls(job.id),
        }

    def _urls(self, job_id: JobId) -> JobUrls:
        own = self._links.job(job_id)
        return JobUrls(self=own, cancel=own, ws=self._links.progress(job_id))

    def _output(self, job_id: JobId, index: int, output: Output) -> OutputView:
        return OutputView(
            index=index,
            node=output.node,
            filename=output.filename,
            kind=output.kind,
            content_type=output.content_type,
            size=output.size,
            blake3=output.blake3,
            url=self._links.output(job_id, index),
            text=output.text,
        )
