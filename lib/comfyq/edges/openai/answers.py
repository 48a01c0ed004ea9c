"""Answers of OpenAI's images: pictures, or why there are none.

Its clients send a request that failed again by themselves, which would make another job:
``X-Should-Retry`` tells them when not to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Response

from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job
from comfyq.edges.api.links import Links
from comfyq.edges.api.open_answers.picture_requests import (
    PictureServices,
    header_of,
    why_none,
)
from comfyq.edges.api.serving.inline_files import InlineFiles
from comfyq.wire.openai.errors import envelope, written
from comfyq.wire.openai.images import ImagesView, ImageView

JSON = "application/json"
RETRY = "X-Should-Retry"
B64, URL = "b64_json", "url"
FORMATS: Mapping[str, str] = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}


@dataclass(frozen=True, slots=True)
class Picture:
    """An output that is a picture, with its place among the outputs of its job."""

    job: Job
    index: int
    output: Output


@dataclass(frozen=True, slots=True)
class PictureAnswers:
    """Makes answers with URLs that ``links`` makes, and with at most ``most_bytes`` of pictures."""

    services: PictureServices
    links: Links
    most_bytes: int

    async def pictures(self, jobs: Sequence[Job], response_format: str | None) -> Response:
        """Answer with every picture that jobs made which have succeeded."""
        made = [picture for job in jobs for picture in await self._pictures_of(job)]
        if not made:
            return self._no_pictures(jobs)
        size = sum(picture.output.size for picture in made)
        fits = size <= self.most_bytes
        if response_format == B64 and not fits:
            return self._too_large(jobs, size)
        files = InlineFiles(self.services.downloads)
        shown = [
            ImageView(
                b64_json=files.place(each.output) if fits and response_format != URL else None,
                url=self.links.output(each.job.id, each.index) if response_format != B64 else None,
            )
            for each in made
        ]
        ended = max(job.ended_at or job.created_at for job in jobs)
        types = {FORMATS.get(picture.output.content_type) for picture in made}
        view = ImagesView(
            created=int(ended.timestamp()),
            data=shown,
            output_format=types.pop() if len(types) == 1 else None,
        )
        return await files.answer(view, header_of(jobs))

    def failure(self, job: Job, jobs: Sequence[Job]) -> Response:
        """Answer that one of the jobs has made nothing."""
        status, code, message = why_none(job, canceled="canceled")
        return refusal(jobs, status, written(code), message)

    def unfinished(self, jobs: Sequence[Job], *, waited_s: float, key: str | None) -> Response:
        """Answer that jobs go on, though their client is answered now; with the same ``key`` it
        may wait for them again."""
        going_on = [job for job in jobs if not job.status.terminal]
        named = ", ".join(self.links.job(job.id) for job in going_on)
        message = (
            f"{len(going_on)} of {len(jobs)} pictures were not made within {waited_s:.0f} s; "
            f"their jobs go on: {named}. "
        )
        if key is None:
            message += (
                "Look there for them. A request with an `Idempotency-Key` header may be sent "
                "again, and then waits for the same jobs instead of making others"
            )
        else:
            message += "Send the request again with its Idempotency-Key to wait for them"
        again = {RETRY: "false"} if key is None else {RETRY: "true", "Retry-After": "1"}
        return refusal(jobs, HTTPStatus.GATEWAY_TIMEOUT, "job_not_ended", message, again)

    async def _pictures_of(self, job: Job) -> Sequence[Picture]:
        _, page = await self.services.queries.asked_and_outputs(job)
        return [
            Picture(job, page.start + at, output)
            for at, output in enumerate(page.outputs)
            if output.kind is OutputKind.IMAGE
        ]

    def _no_pictures(self, jobs: Sequence[Job]) -> Response:
        at = self.links.job(jobs[0].id)
        message = f"workflow {jobs[0].workflow} made no picture; what it made is told by {at}"
        return refusal(jobs, HTTPStatus.BAD_REQUEST, "no_picture", message)

    def _too_large(self, jobs: Sequence[Job], size: int) -> Response:
        at = ", ".join(self.links.job(job.id) for job in jobs)
        message = (
            f"the pictures have {size} bytes, and an answer has room for {self.most_bytes}: ask "
            f"for response_format `{URL}`, or fewer at once. Those that were made are told by {at}"
        )
        return refusal(jobs, HTTPStatus.BAD_REQUEST, "answer_too_large", message)


def refusal(
    jobs: Sequence[Job],
    status: HTTPStatus,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with an error about jobs, which no client need try again by itself."""
    told = envelope(status, message=message, code=code).model_dump_json()
    headers = {RETRY: "false", **header_of(jobs), **(headers or {})}
    return Response(told, status, headers, media_type=JSON)
