"""Show jobs to one client of RunPod's API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Protocol

from fastapi import Depends, Request, Response

from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobStatus
from comfyq.edges.api.dependencies import links_of, services_of, streams_of
from comfyq.edges.api.links import Links
from comfyq.edges.api.serving.inline_files import InlineFiles, room_for_files
from comfyq.services.files.downloads import Downloads
from comfyq.services.jobs.queries import JobQueries
from comfyq.wire.generate.statuses import error_text, failure_of
from comfyq.wire.runpod.jobs import ImageView, JobView, OutputView, Status

STATUSES: Mapping[JobStatus, Status] = {
    JobStatus.QUEUED: "IN_QUEUE",
    JobStatus.RUNNING: "IN_PROGRESS",
    JobStatus.SUCCEEDED: "COMPLETED",
    JobStatus.FAILED: "FAILED",
    JobStatus.CANCELED: "CANCELLED",
    JobStatus.EXPIRED: "TIMED_OUT",
}
DEADLINE = "deadline"  # code of a job that ran for too long


class ViewServices(Protocol):
    """The services that showing a job needs."""

    @property
    def queries(self) -> JobQueries: ...

    @property
    def downloads(self) -> Downloads: ...


def shown_status(job: Job) -> Status:
    is_late = job.status is JobStatus.FAILED and job.error and job.error.code == DEADLINE
    return "TIMED_OUT" if is_late else STATUSES[job.status]


def brief(job: Job) -> JobView:
    """Show a job without what it made."""
    return JobView(id=job.id, status=shown_status(job))


@dataclass(frozen=True, slots=True)
class RunPodViews:
    """Shows jobs with URLs that ``links`` makes, each with ``room`` for so many bytes of files."""

    services: ViewServices
    links: Links
    room: int

    async def answer(self, job: Job) -> Response:
        """Answer with a job as it is now, with its pictures if it has succeeded."""
        failure, files = failure_of(job), InlineFiles(self.services.downloads)
        output = await self._output(job, files) if job.status is JobStatus.SUCCEEDED else None
        view = JobView(
            id=job.id,
            status=shown_status(job),
            delayTime=_ms(job.created_at, job.started_at or job.ended_at),
            executionTime=_ms(job.started_at, job.ended_at),
            output=output,
            error=error_text(failure) if failure else None,
        )
        return await files.answer(view)

    async def _output(self, job: Job, files: InlineFiles) -> OutputView:
        _, page = await self.services.queries.asked_and_outputs(job)
        pictures = [
            (page.start + at, output)
            for at, output in enumerate(page.outputs)
            if output.kind is OutputKind.IMAGE
        ]
        if not pictures:
            return OutputView(images=[], status="success_no_images")
        return OutputView(images=self._images(job, pictures, files))

    def _images(
        self, job: Job, pictures: Sequence[tuple[int, Output]], files: InlineFiles
    ) -> list[ImageView]:
        """Show pictures with their content or, where there is no room for all, by links."""
        if sum(output.size for _, output in pictures) > self.room:
            return [
                ImageView(
                    filename=output.filename, type="s3_url", data=self.links.output(job.id, index)
                )
                for index, output in pictures
            ]
        return [
            ImageView(filename=output.filename, type="base64", data=files.place(output))
            for _, output in pictures
        ]


def _ms(since: datetime | None, until: datetime | None) -> int | None:
    if since is None or until is None:
        return None
    return max(0, (until - since) // timedelta(milliseconds=1))


def sent(view: JobView) -> Response:
    """Answer with a job; what is null is left out."""
    return Response(view.model_dump_json(exclude_none=True), media_type="application/json")


async def runpod_views_of(request: Request) -> RunPodViews:
    room = room_for_files(can_hold=await streams_of(request) is not None)
    return RunPodViews(await services_of(request), await links_of(request), room)


Views = Annotated[RunPodViews, Depends(runpod_views_of)]
