"""The messages of ComfyUI's socket, made of the frames that followers of jobs are posted.

A frame says that a change is stored. What a job is called, how it has ended and what it has made is
read from the job. Frames of one job may come twice, and in another order than they were made.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from comfyq.domain.caller import Caller
from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import Job, JobId
from comfyq.domain.job.shown_status import STATUSES
from comfyq.edges.comfyui.jobs import prompt_id_of
from comfyq.edges.comfyui.sent_pictures import SentPictures, SentServices
from comfyq.edges.comfyui.views import ComfyUIViews, end_of, messages
from comfyq.records.times import to_ms
from comfyq.wire.comfyui.messages import message, preview, preview_with_metadata, status

PREVIEW = "preview"
KINDS = frozenset({"status", "progress", PREVIEW})  # of frames that tell of a job
RUNNING = "running"
ENDED = frozenset(STATUSES.values()) - {"queued", RUNNING}
REMEMBERED = 1_000  # jobs that have ended

Message = str | bytes


@dataclass(slots=True)
class _Told:
    """What a socket was told of one job that goes on."""

    prompt_id: str
    newest: tuple[int, float] = (-1, -1.0)
    attempt: int = 0  # whose start was told
    node: str | None = None
    step: tuple[str | None, int, int] = (None, 0, 0)


@dataclass(slots=True)
class ComfyUIEvents:
    """Turns the frames of one socket's jobs into its messages."""

    services: SentServices
    caller: Caller
    now: Callable[[], datetime]
    previews: bool = False  # whether the client takes them
    has_metadata: bool = False  # whether they come with what they are of
    _going: dict[JobId, _Told] = field(default_factory=dict)
    _ended: dict[JobId, None] = field(default_factory=dict)

    def expect(self, jobs: Sequence[Job]) -> None:
        """Count jobs as going on whose first frames are about to come: clients take a count of none
        for the end of what they wait for."""
        for job in jobs:
            if not job.status.terminal and job.id not in self._ended:
                self._going.setdefault(job.id, _Told(prompt_id_of(job)))

    def forget(self, job: Job) -> None:
        """Count a job no more, which is deleted."""
        self._going.pop(job.id, None)

    def status(self, *, sid: str | None = None) -> str:
        """Tell how many of the client's jobs go on."""
        return status(len(self._going), sid=sid)

    async def of(self, frame: str) -> list[Message]:
        """Return the messages of a frame; none if it brings no news.

        Raises:
            TableUnavailable: the job cannot be read now.
        """
        fields: dict[str, Any] = json.loads(frame)
        job_id = JobId(str(fields.get("job_id")))
        if fields.get("kind") not in KINDS or job_id in self._ended:
            return []
        if fields.get("kind") == PREVIEW:
            return self._preview(job_id, fields)
        if fields["status"] in ENDED:
            return await self._end(job_id)
        return await self._going_on(job_id, fields)

    async def _going_on(self, job_id: JobId, fields: dict[str, Any]) -> list[Message]:
        told, news = self._going.get(job_id), list[Message]()
        if told is None:
            job = await self._read(job_id)
            if job is None:
                return []
            told = self._going[job_id] = _Told(prompt_id_of(job))
            news.append(self.status())
        position = (int(fields["seq"]), float(fields["progress"]))
        if position < told.newest:
            return news
        told.newest = position
        if fields["status"] == RUNNING:
            news += self._running(told, fields)
        return news

    def _running(self, told: _Told, fields: dict[str, Any]) -> Iterator[Message]:
        prompt_id = told.prompt_id
        if fields["attempt"] > told.attempt:
            told.attempt, told.node = fields["attempt"], None
            told.step = (None, 0, 0)
            now_ms = to_ms(self.now())
            yield message("execution_start", prompt_id=prompt_id, timestamp=now_ms)
            yield message("execution_cached", nodes=[], prompt_id=prompt_id, timestamp=now_ms)
        node = fields["node"]
        if node is None:
            return
        if node != told.node:
            told.node = node
            yield message("executing", node=node, display_node=node, prompt_id=prompt_id)
        step = (node, fields["step"], fields["max_steps"])
        if fields["max_steps"] and step != told.step:
            told.step = step
            value, most = step[1:]
            yield message("progress", value=value, max=most, prompt_id=prompt_id, node=node)

    def _preview(self, job_id: JobId, fields: dict[str, Any]) -> list[Message]:
        told = self._going.get(job_id)
        if told is None or not self.previews or fields["attempt"] < told.attempt:
            return []
        content, kind = b64decode(fields["data"]), fields["content_type"]
        if not self.has_metadata:
            return [preview(content, kind)]
        node = fields["node"]
        return [preview_with_metadata(content, kind, node=node, prompt_id=told.prompt_id)]

    async def _end(self, job_id: JobId) -> list[Message]:
        """Tell of a job's results and its end; last that nothing of it executes, at which clients
        go and read the history."""
        told, job = self._going.get(job_id), await self._read(job_id)
        if job is None:
            self._going.pop(job_id, None)
            return []
        if not job.status.terminal:
            return []  # it was tried again since
        prompt_id, views = prompt_id_of(job), ComfyUIViews(self.services)
        outputs, news = await views.outputs(job), list[Message]()
        if told is None or told.attempt < job.attempt:
            news += [message(kind, **data) for kind, data in messages(job)[:-1]]
        sent = await SentPictures(self.services).of(self.caller, job)
        for node, shown in outputs.items():
            place = {"node": node, "display_node": node}
            if node in sent:
                news += [message("executing", **place, prompt_id=prompt_id), *sent[node]]
            news.append(message("executed", **place, output=shown, prompt_id=prompt_id))
        kind, data = end_of(job)
        self._going.pop(job_id, None)
        self._ended[job_id] = None
        if len(self._ended) > REMEMBERED:
            self._ended.pop(next(iter(self._ended)))
        return [
            *news,
            message(kind, **data),
            self.status(),
            message("executing", node=None, prompt_id=prompt_id),
        ]

    async def _read(self, job_id: JobId) -> Job | None:
        try:
            return await self.services.queries.get(self.caller, job_id)
        except JobNotFound:
            return None  # deleted meanwhile
