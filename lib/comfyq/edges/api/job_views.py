"""Show jobs to one client, with links to where it can go on from there."""

from typing import Any

from comfyq.domain.files.output import OutputPage
from comfyq.domain.job import Job, JobId, WorkerId, submitted
from comfyq.domain.job.attempt import Attempt
from comfyq.domain.job.client_text import for_clients
from comfyq.domain.job.estimate import NOTHING, Estimate
from comfyq.domain.job.shown_status import STATUSES
from comfyq.edges.api.links import Links
from comfyq.edges.api.output_views import ANSWER_BYTES, NO_OUTPUTS, OutputViews
from comfyq.services.jobs.accepted import Accepted
from comfyq.services.jobs.queries import Asked, JobQueries, Story
from comfyq.wire.generate.jobs import (
    AttemptView,
    JobUrls,
    JobView,
    RunningAttemptView,
    StoryView,
)
from comfyq.wire.generate.provisioning import provisioning_of
from comfyq.wire.generate.statuses import error_text, failure_of, waits_for, whole_error_text


class JobViews:
    """Shows jobs with the URLs that ``links`` makes, and what they have made to who may read."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._outputs = OutputViews(links)

    def job(
        self,
        job: Job,
        *,
        asked: Asked | None = None,
        outputs: OutputPage = NO_OUTPUTS,
        room: int = ANSWER_BYTES,
    ) -> JobView:
        """Show a job, with those of its outputs that fit into ``room`` bytes."""
        return JobView.model_validate(self._fields(job, asked, outputs, room))

    async def whole(self, queries: JobQueries, job: Job) -> JobView:
        """Show a job. Its request is read only once it has ended, because clients poll often."""
        if not job.status.terminal or not self._links.may_read:
            return self.job(job)
        asked, outputs = await queries.asked_and_outputs(job)
        return self.job(job, asked=asked, outputs=outputs)

    def live(
        self, job: Job, estimate: Estimate = NOTHING, *, asked: Asked | None = None
    ) -> JobView:
        """Show a job that goes on, with what is estimated of it."""
        fields = self._fields(job, asked, NO_OUTPUTS)
        return JobView.model_validate(fields | _estimated(job, estimate))

    def at_first(self, job: Job) -> Job:
        """Return a job as it was when it was accepted. To who may not read, one that has an earlier
        job's results waits like any other: that there are some, and what, only readers are told."""
        if job.reused_from is not None and self._links.may_read:
            return job
        return submitted(
            id=job.id,
            tenant=job.tenant,
            workflow=job.workflow,
            created_at=job.created_at,
            retry_of=job.retry_of,
            priority=job.priority,
            title=job.title,
            labels=job.labels,
        )

    def accepted(self, accepted: Accepted, *, room: int = ANSWER_BYTES) -> JobView:
        """Show the answer to a submission, and to every replay of it whatever became of the job."""
        job, asked = self.at_first(accepted.job), Asked.of(accepted.spec)
        if job.reused_from is not None:
            page = OutputPage(accepted.outputs, 0, len(accepted.outputs))
            return self.job(job, asked=asked, outputs=page, room=room)
        return self.job(job, asked=asked)

    def story(self, story: Story, estimate: Estimate = NOTHING) -> StoryView:
        """Show all that is known of a job. Workers are named after their machines, and what went
        wrong there may name its paths: that is told to operators alone."""
        fields = self._fields(story.job, Asked.of(story.spec), story.outputs)
        fields |= _estimated(story.job, estimate)
        if self._links.is_operators and (failure := failure_of(story.job)):
            fields["error"] = whole_error_text(failure)
        return StoryView(
            **fields,
            parameters=story.spec.parameters,
            failures=story.job.failures,
            running_attempt=self._running_attempt(story.job),
            attempts=[*map(self._attempt, story.attempts)],
        )

    def _attempt(self, attempt: Attempt) -> AttemptView:
        reason = attempt.reason
        return AttemptView(
            number=attempt.number,
            worker=self._worker(attempt.worker),
            claimed_at=attempt.claimed_at,
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
            verdict=attempt.verdict,
            reason=reason if self._links.is_operators or reason is None else for_clients(reason),
        )

    def _running_attempt(self, job: Job) -> RunningAttemptView | None:
        """Show the attempt of the worker that holds a job."""
        if job.lease is None or job.claimed_at is None:
            return None
        return RunningAttemptView(
            number=job.attempt,
            worker=self._worker(job.lease.worker),
            claimed_at=job.claimed_at,
            started_at=job.started_at if job.started_attempt == job.attempt else None,
        )

    def _worker(self, worker: WorkerId) -> str:
        links = self._links
        return worker if links.is_operators else f"worker-{links.signed.pseudonym(worker)}"

    def _fields(
        self, job: Job, asked: Asked | None, outputs: OutputPage, room: int = ANSWER_BYTES
    ) -> dict[str, Any]:
        if not self._links.may_read:
            outputs = NO_OUTPUTS
        shown = self._outputs.shown(job.id, outputs, room=room)
        failure = failure_of(job)
        return {
            "id": job.id,
            "status": STATUSES[job.status],
            "image_url": self._outputs.image_url(job.id, outputs, shown.outputs),
            "error": error_text(failure) if failure else None,
            "error_code": failure.code if failure else None,
            "workflow": job.workflow,
            "title": job.title if self._links.may_read else None,
            "labels": job.labels,
            **_progress_of(job),
            "seq": job.version,
            "attempt": job.attempt,
            "priority": job.priority,
            "created_at": job.created_at,
            "started_at": job.started_at,
            "ended_at": job.ended_at,
            "cancel_requested": job.cancel_requested,
            "waits_for": waits_for(job),
            "seed": asked.seed if asked else job.seed,
            "warnings": [*(asked.warnings if asked else ()), *map(for_clients, job.warnings)],
            "outputs": shown.outputs,
            "more_outputs": shown.more_outputs,
            "simulated": job.simulated,
            "retry_of": job.retry_of,
            "reused_from": job.reused_from if self._links.may_read else None,
            "urls": self._urls(job.id),
        }

    def _urls(self, job_id: JobId) -> JobUrls:
        own = self._links.job(job_id)
        return JobUrls(
            self=own,
            cancel=own,
            ws=self._links.progress(job_id),
            ws_subscribe=self._links.subscribe_frame(job_id),
            events=self._links.events(job_id),
        )


def _progress_of(job: Job) -> dict[str, Any]:
    at = job.progress
    return {
        "progress": at.fraction,
        "step": at.step,
        "max_steps": at.max_steps,
        "node": at.node,
        "node_class": at.message,
        "nodes_done": at.nodes_done,
        "nodes_total": at.nodes_total,
        "provisioning": provisioning_of(job),
    }


def _estimated(job: Job, estimate: Estimate) -> dict[str, Any]:
    return {
        "eta_s": estimate.eta_s,
        "queue_position": estimate.queue_position,
        "queue_position_above": estimate.position_above,
        "waits_for": waits_for(job, estimate),
    }
