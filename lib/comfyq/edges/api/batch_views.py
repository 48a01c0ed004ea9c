"""Show batches to one client, each with its jobs."""

from dataclasses import replace

from comfyq.domain.submission.batch import Batch, Refusal
from comfyq.domain.submission.batch_progress import BatchProgress, progress_of
from comfyq.edges.api.job_views import JobViews
from comfyq.edges.api.links import Links
from comfyq.edges.api.output_views import ANSWER_BYTES, NO_OUTPUTS
from comfyq.services.jobs.batch_submission import BatchAccepted
from comfyq.services.jobs.batches import BatchState
from comfyq.wire.generate.batch_counts import BatchCounts
from comfyq.wire.generate.batches import (
    BatchItem,
    BatchSummary,
    BatchUrls,
    BatchView,
    RefusalView,
    RetriedBatch,
)
from comfyq.wire.generate.jobs import JobView

GONE = Refusal("job-not-found", "the job was deleted, or never made")


class BatchViews:
    """Shows batches with the URLs that ``links`` makes."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._jobs = JobViews(links)

    def accepted(self, accepted: BatchAccepted) -> BatchView:
        """Show the answer to a submission, and to every replay of it."""
        room = ANSWER_BYTES // max(1, len(accepted.jobs))
        shown = {n: self._jobs.accepted(each, room=room) for n, each in accepted.jobs.items()}
        jobs = {n: self._jobs.at_first(each.job) for n, each in accepted.jobs.items()}
        batch = replace(accepted.batch, storing=False, version=1)
        return self._batch(batch, shown, progress_of(batch, jobs))

    def state(self, state: BatchState, *, items: bool) -> BatchView:
        """Show a batch as it is now, with its ``items`` or without."""
        room = ANSWER_BYTES // max(1, len(state.jobs))
        shown = {
            n: self._jobs.job(job, outputs=state.outputs.get(n, NO_OUTPUTS), room=room)
            for n, job in state.jobs.items()
        }
        whole = self._batch(state.batch, shown, state.progress)
        return whole if items else whole.model_copy(update={"items": None})

    def summary(self, batch: Batch) -> BatchSummary:
        return BatchSummary(
            batch_id=batch.id,
            size=batch.size,
            created_at=batch.created_at,
            canceled=batch.canceled,
            urls=self._urls(batch),
        )

    def _urls(self, batch: Batch) -> BatchUrls:
        own = self._links.batch(batch.id)
        return BatchUrls(self=own, cancel=own, events=self._links.batch_events(batch.id))

    def _batch(self, batch: Batch, jobs: dict[int, JobView], progress: BatchProgress) -> BatchView:
        return BatchView(
            batch_id=batch.id,
            size=batch.size,
            done=progress.done,
            progress=progress.progress,
            counts=BatchCounts(**progress.counts),
            seq=progress.seq,
            created_at=batch.created_at,
            canceled=batch.canceled,
            retry_of=_retry_of(batch),
            items=[_item(batch, index, jobs.get(index)) for index in range(batch.size)],
            urls=self._urls(batch),
        )


def _item(batch: Batch, index: int, job: JobView | None) -> BatchItem:
    original = None if batch.retried is None else batch.retried.indexes[index]
    if job is not None:
        return BatchItem(index=index, original_index=original, job=job)
    refusal = batch.refusals.get(index)
    if refusal is None and batch.storing:
        return BatchItem(index=index, original_index=original)
    error = RefusalView.of(refusal or GONE)
    return BatchItem(index=index, original_index=original, error=error)


def _retry_of(batch: Batch) -> RetriedBatch | None:
    retried = batch.retried
    return None if retried is None else RetriedBatch(batch_id=retried.batch_id, size=retried.size)
