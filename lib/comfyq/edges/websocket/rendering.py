"""Render a job as the frame that its followers are sent."""

from base64 import b64encode
from collections.abc import Callable, Sequence

from pydantic import BaseModel

from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.job.estimate import NOTHING, Estimate
from comfyq.domain.job.preview import SmallPicture
from comfyq.domain.job.progress import MAX_NODE_CHARS
from comfyq.domain.job.shown_status import STATUSES
from comfyq.domain.submission.batch_progress import BatchProgress
from comfyq.wire.generate.batch_counts import BatchCounts
from comfyq.wire.generate.frames import MAX_TEXT, BatchFrame, PreviewFrame, ProgressFrame
from comfyq.wire.generate.provisioning import provisioning_of
from comfyq.wire.generate.statuses import error_text, failure_of, waits_for

OutputUrl = Callable[[int], str | None]
"""index of an output -> the signed link to it, if one can be made."""


def render(
    job: Job,
    outputs: Sequence[Output],
    *,
    output_url: OutputUrl,
    estimate: Estimate = NOTHING,
) -> bytes:
    """Return a job's frame; once completed, it has the link to the first image."""
    failure = failure_of(job)
    at = job.progress
    frame = ProgressFrame(
        kind="progress" if job.status is JobStatus.RUNNING and at.message else "status",
        job_id=job.id,
        status=STATUSES[job.status],
        progress=at.fraction,
        step=at.step,
        max_steps=at.max_steps,
        message=_clipped(at.message),
        image_url=_image_url(outputs, output_url),
        error=_clipped(error_text(failure)) if failure else None,
        error_code=failure.code if failure else None,
        seq=job.version,
        attempt=job.attempt,
        simulated=job.simulated,
        waits_for=_clipped(waits_for(job, estimate)),
        queue_position=estimate.queue_position,
        eta_s=estimate.eta_s,
        node=at.node,
        node_class=_clipped(at.message),
        nodes_done=at.nodes_done,
        nodes_total=at.nodes_total,
        provisioning=provisioning_of(job),
    )
    return encode(frame)


def render_batch(progress: BatchProgress) -> bytes:
    """Return the frame of a batch."""
    frame = BatchFrame(
        batch_id=progress.batch_id,
        size=progress.size,
        done=progress.done,
        progress=progress.progress,
        counts=BatchCounts(**progress.counts),
        seq=progress.seq,
    )
    return encode(frame)


def render_preview(job: Job, node: str, picture: SmallPicture) -> bytes:
    """Return the frame of a preview that a node of a running job made."""
    frame = PreviewFrame(
        job_id=job.id,
        attempt=job.attempt,
        node=node[:MAX_NODE_CHARS],
        content_type=picture.content_type,
        width=picture.width,
        height=picture.height,
        data=b64encode(picture.content).decode(),
    )
    return encode(frame)


def encode(frame: BaseModel) -> bytes:
    return frame.model_dump_json().encode()


def _image_url(outputs: Sequence[Output], output_url: OutputUrl) -> str | None:
    for index, output in enumerate(outputs):
        if output.kind is OutputKind.IMAGE:
            return output_url(index)
    return None


def _clipped(text: str | None) -> str | None:
    return text if text is None or len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
