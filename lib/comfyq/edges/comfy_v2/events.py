"""The events of the Comfy API v2, made of the frames that followers of a job are posted.

A frame says that a change is stored. What it does not say in the contract's words is read from the
job, each time that the job has changed: whether it is being canceled, and how it has ended.
"""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from comfyq.domain.caller import Caller
from comfyq.domain.errors import DomainError
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.job.progress import Progress
from comfyq.edges.comfy_v2.statuses import progress_view, shown_status
from comfyq.edges.comfy_v2.views import ComfyViews
from comfyq.wire.comfy_v2.jobs import JobView, PreviewEvent, ProgressView, StatusEvent

PREVIEW = "preview"
RUNNING = "running"
ENDED = {"completed", "failed", "canceled"}  # of frames


class EndNotRead(TimeoutError):
    """A job's end cannot be read now: the stream breaks off, so that its client asks again."""


class ComfyEvents:
    """Turns the frames of one job into the events that one stream has."""

    def __init__(self, views: ComfyViews, caller: Caller, job: Job) -> None:
        self._views = views
        self._caller = caller
        self._job = job
        self._last: dict[str, str] = {}  # what was told last, by kind
        self._is_over = False

    async def of(self, frame: str) -> bytes:
        """Return the events of a frame; empty if it brings no news."""
        fields: dict[str, Any] = json.loads(frame)
        if self._is_over:
            return b""  # the job was read before the frame of its end came
        if fields.get("kind") == PREVIEW:
            return _event(PREVIEW, _preview(fields))
        job = await self._read(fields)
        if job.status.terminal:
            shown = await self._shown(job)
            self._is_over = True
            return b"".join(self._end(shown))
        return b"".join(self._going_on(job, fields))

    async def _read(self, fields: dict[str, Any]) -> Job:
        """Return the job at least as new as a frame; as it was, where it cannot be read now.

        Raises:
            EndNotRead: no other frame will come.
        """
        if fields["seq"] > self._job.version:
            queries, job_id = self._views.services.queries, JobId(fields["job_id"])
            try:
                self._job = await queries.get(self._caller, job_id)
            except DomainError as away:  # else the next frame tells of it
                if fields["status"] in ENDED:
                    raise EndNotRead(str(away)) from away
        return self._job

    async def _shown(self, job: Job) -> JobView:
        try:
            return await self._views.job(job)
        except DomainError as away:
            raise EndNotRead(str(away)) from away

    def _going_on(self, job: Job, fields: dict[str, Any]) -> Iterator[bytes]:
        position = fields["queue_position"] if job.status is JobStatus.QUEUED else None
        status = StatusEvent(status=shown_status(job), queue_position=position)
        yield from self._news("status", status)
        if fields["status"] == RUNNING:
            yield from self._news("progress", _progress(fields))

    def _end(self, job: JobView) -> Iterator[bytes]:
        """Tell of the last progress and the outputs first: after the status a client leaves."""
        if job.progress is not None:
            yield from self._news("progress", job.progress)
        for output in job.outputs:
            yield _event("output", output)
        yield from self._news("status", StatusEvent(status=job.status, queue_position=None))

    def _news(self, kind: str, told: BaseModel) -> Iterator[bytes]:
        text = told.model_dump_json()
        if self._last.get(kind) != text:
            self._last[kind] = text
            yield _event(kind, told)


def _preview(fields: dict[str, Any]) -> PreviewEvent:
    return PreviewEvent(
        node_id=fields["node"],
        content_type=fields["content_type"],
        data_base64=fields["data"],
    )


def _progress(fields: dict[str, Any]) -> ProgressView:
    return progress_view(
        Progress(
            fraction=fields["progress"],
            step=fields["step"],
            max_steps=fields["max_steps"],
            message=fields["node_class"],
            node=fields["node"],
            nodes_done=fields["nodes_done"],
            nodes_total=fields["nodes_total"],
        )
    )


def _event(kind: str, told: BaseModel) -> bytes:
    return f"event: {kind}\ndata: {told.model_dump_json()}\n\n".encode()
