"""A job's state in the words of the Comfy API v2."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from comfyq.domain.files.output import Output, OutputKind
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.job.client_text import for_clients
from comfyq.domain.job.progress import Progress
from comfyq.wire.comfy_v2.jobs import JobErrorView, Metrics, OutputType, ProgressView, Status

STATUSES: Mapping[JobStatus, Status] = {
    JobStatus.QUEUED: "queued",
    JobStatus.RUNNING: "running",
    JobStatus.SUCCEEDED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELED: "canceled",
    JobStatus.EXPIRED: "expired",
}
ERROR_CODES: Mapping[str, str] = {"node-error": "node_execution_error"}
FAILED = frozenset({JobStatus.FAILED, JobStatus.EXPIRED})
LATENT = ".latent"  # suffix of files that ComfyUI saves latent images in
KINDS: Mapping[OutputKind, OutputType] = {
    OutputKind.IMAGE: "image",
    OutputKind.VIDEO: "video",
    OutputKind.AUDIO: "audio",
    OutputKind.TEXT: "text",
    OutputKind.FILE: "file",
}


def shown_status(job: Job) -> Status:
    is_stopping = job.cancel_requested and not job.status.terminal
    return "canceling" if is_stopping else STATUSES[job.status]


def shown_type(output: Output) -> OutputType:
    return "latent" if output.filename.lower().endswith(LATENT) else KINDS[output.kind]


def shown_progress(job: Job) -> ProgressView | None:
    """Show the progress of a job that runs or ran; None for one that waits."""
    if job.status is JobStatus.QUEUED or job.started_at is None:
        return None
    return progress_view(job.progress)


def progress_view(at: Progress) -> ProgressView:
    has_steps = at.max_steps > 0
    steps = f" {at.step}/{at.max_steps}" if has_steps else ""
    return ProgressView(
        value=min(max(at.fraction, 0.0), 1.0),
        nodes_done=at.nodes_done,
        nodes_total=at.nodes_total,
        current_node=at.node,
        current_node_class=at.message,
        step=at.step if has_steps else None,
        steps=at.max_steps if has_steps else None,
        message=f"{at.message}{steps}" if at.message else None,
    )


def shown_error(job: Job) -> JobErrorView | None:
    """Show why a job failed; the error of an attempt that will be repeated is not the job's."""
    error = job.error
    if error is None or job.status not in FAILED:
        return None
    is_running_node = error.node is not None and error.node == job.progress.node
    return JobErrorView(
        code=ERROR_CODES.get(error.code, error.code.replace("-", "_")),
        message=for_clients("\n".join((error.message, *error.details))),
        node_id=error.node,
        class_type=job.progress.message if is_running_node else None,
        traceback=None,  # it would tell of the worker's files
    )


def shown_metrics(job: Job) -> Metrics:
    """Show how long a job waited and ran; null for what has not come, or never will."""
    return Metrics(
        queue_ms=_ms(job.created_at, job.started_at),
        execution_ms=_ms(job.started_at, job.ended_at),
    )


def _ms(since: datetime | None, until: datetime | None) -> int | None:
    if since is None or until is None:
        return None
    return max(0, (until - since) // timedelta(milliseconds=1))
