"""Answers with pictures, and how they were made, or why there are none."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Response

from comfyq.domain.caller import Caller
from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobStatus
from comfyq.edges.a1111.infotexts import info_of
from comfyq.edges.api.links import Links
from comfyq.edges.api.open_answers.picture_requests import (
    PictureServices,
    header_of,
    why_none,
)
from comfyq.edges.api.serving.inline_files import InlineFiles
from comfyq.wire.a1111.errors import ErrorView
from comfyq.wire.a1111.requests import UNREPEATED, TextToImage
from comfyq.wire.a1111.views import ImagesView, UpscaledView

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class PictureAnswers:
    """Answers to ``caller``, with at most ``most_bytes`` of pictures."""

    services: PictureServices
    caller: Caller
    links: Links
    most_bytes: int

    async def made(self, jobs: Sequence[Job], body: TextToImage, told: Sequence[str]) -> Response:
        """Answer with every picture of jobs that have succeeded; ``told`` is what had no effect."""
        pictures = [each for job in jobs for each in await self._pictures_of(job)]
        refusal = self._refusal(jobs, pictures)
        if refusal is not None:
            return refusal
        spec = await self.services.queries.spec(self.caller, pictures[0][0].id)
        seeds = [job.seed for job, _ in pictures]
        workflow = pictures[0][0].workflow
        info = info_of(spec, workflow=workflow, seeds=seeds, comments=[*told, *spec.warnings])
        files = InlineFiles(self.services.downloads)
        shown = [files.place(output) for _, output in pictures if body.send_images is not False]
        parameters = body.model_dump(exclude_unset=True, exclude=set(UNREPEATED))
        view = ImagesView(images=shown, parameters=parameters, info=json.dumps(info))
        return await files.answer(view, header_of(jobs))

    async def upscaled(self, jobs: Sequence[Job]) -> Response:
        """Answer with the first picture that was made."""
        pictures = [each for job in jobs for each in await self._pictures_of(job)][:1]
        refusal = self._refusal(jobs, pictures)
        if refusal is not None:
            return refusal
        files = InlineFiles(self.services.downloads)
        view = UpscaledView(html_info="", image=files.place(pictures[0][1]))
        return await files.answer(view, header_of(jobs))

    def failure(self, job: Job, jobs: Sequence[Job]) -> Response:
        """Answer that one of the jobs has made nothing."""
        return told_error(jobs, *why_none(job, canceled="interrupted"))

    def unfinished(self, jobs: Sequence[Job], *, waited_s: float, key: str | None) -> Response:
        """Answer that jobs go on, though their client is answered now; with the same ``key`` it
        may wait for them again."""
        going_on = [job for job in jobs if not job.status.terminal]
        message = (
            f"{len(going_on)} of {len(jobs)} pictures were not made within {waited_s:.0f} s; "
            f"their jobs go on: {self._told(going_on)}. Look there for them, or send the request "
        )
        if key is None:
            message += "with an `Idempotency-Key` header next time: the same again waits for them"
        else:
            message += "again with its Idempotency-Key to wait for them"
        retry = {} if key is None else {"Retry-After": "1"}
        return told_error(jobs, HTTPStatus.GATEWAY_TIMEOUT, "job-not-ended", message, retry)

    def _refusal(
        self, jobs: Sequence[Job], pictures: Sequence[tuple[Job, Output]]
    ) -> Response | None:
        """Return why pictures cannot be shown, if they cannot."""
        if not pictures:
            message = f"workflow {jobs[0].workflow} made no picture; what it made is told by "
            message += self._told(jobs[:1])
            return told_error(jobs, HTTPStatus.BAD_REQUEST, "no-picture", message)
        size = sum(output.size for _, output in pictures)
        if size <= self.most_bytes:
            return None
        message = (
            f"the pictures have {size} bytes, and an answer has room for {self.most_bytes}: ask "
            f"for fewer at once. Those that were made are told by {self._told(jobs)}"
        )
        return told_error(jobs, HTTPStatus.BAD_REQUEST, "answer-too-large", message)

    def _told(self, jobs: Sequence[Job]) -> str:
        return ", ".join(self.links.job(job.id) for job in jobs)

    async def _pictures_of(self, job: Job) -> Sequence[tuple[Job, Output]]:
        if job.status is not JobStatus.SUCCEEDED:
            return []
        _, page = await self.services.queries.asked_and_outputs(job)
        return [(job, output) for output in page.outputs if output.kind is OutputKind.IMAGE]


def told_error(
    jobs: Sequence[Job],
    status: HTTPStatus,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with an error about jobs."""
    told = ErrorView(error=code, detail=message, errors=message).model_dump_json()
    return Response(told, status, {**header_of(jobs), **(headers or {})}, media_type=JSON)
