"""Show jobs to one client of the Comfy API v2."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request

from comfyq.domain.files.output import Output
from comfyq.domain.job import Job, JobId
from comfyq.domain.job.output_id import output_id
from comfyq.edges.api.dependencies import services_of
from comfyq.edges.comfy_v2.links import ComfyLinks, comfy_links_of
from comfyq.edges.comfy_v2.statuses import (
    shown_error,
    shown_metrics,
    shown_progress,
    shown_status,
    shown_type,
)
from comfyq.services.jobs.estimates import Estimates
from comfyq.services.jobs.queries import JobQueries
from comfyq.services.limits.retention import Retention
from comfyq.wire.comfy_v2.jobs import JobView, ListedJobView, OutputView


class ViewServices(Protocol):
    """The services that showing a job needs."""

    @property
    def queries(self) -> JobQueries: ...

    @property
    def estimates(self) -> Estimates: ...

    @property
    def retention(self) -> Retention: ...


@dataclass(frozen=True, slots=True)
class ComfyViews:
    """Shows jobs with URLs that ``links`` makes."""

    services: ViewServices
    links: ComfyLinks

    async def job(self, job: Job) -> JobView:
        """Show a job as it is now, and what it has made to who may read."""
        outputs: Sequence[Output] = ()
        if job.status.terminal and self.links.api.may_read:
            outputs = (await self.services.queries.asked_and_outputs(job))[1].outputs
        position = (await self.services.estimates.estimate(job)).queue_position
        kept = await self.services.retention.of(job.tenant)
        return JobView(
            id=job.id,
            status=shown_status(job),
            created_at=job.created_at,
            started_at=job.started_at,
            completed_at=job.ended_at,
            expires_at=(job.ended_at or job.created_at) + kept,  # or later: the end is not known
            queue_position=position,
            progress=shown_progress(job),
            outputs=self.outputs(job.id, outputs),
            error=shown_error(job),
            metrics=shown_metrics(job),
            metadata=dict(job.labels),
            urls=self.links.job(job.id),
        )

    def outputs(self, job_id: JobId, outputs: Sequence[Output]) -> list[OutputView]:
        """Show all outputs of a job, in order."""
        return [self._output(job_id, at, output) for at, output in enumerate(outputs)]

    def listed(self, job: Job) -> ListedJobView:
        return ListedJobView(
            id=job.id,
            status=shown_status(job),
            create_time=job.created_at,
            update_time=job.ended_at or job.started_at or job.created_at,
            metadata=dict(job.labels),
        )

    def _output(self, job_id: JobId, index: int, output: Output) -> OutputView:
        link = self.links.output(job_id, index)
        return OutputView(
            node_id=output.node,
            name=output.filename,
            type=shown_type(output),
            content_type=output.content_type,
            size_bytes=output.size,
            id=output_id(job_id, index),
            hash=f"blake3:{output.blake3}" if output.blake3 else None,
            url=link.url,
            url_expires_at=link.expires_at,
            job_id=job_id,
        )


async def comfy_views_of(request: Request) -> ComfyViews:
    return ComfyViews(await services_of(request), await comfy_links_of(request))


Views = Annotated[ComfyViews, Depends(comfy_views_of)]
