"""Show batches to one client, each with its jobs."""

from collections.abc import Iterable

from comfyq.domain.submission.batch import Batch, Refusal
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
        return self._batch(accepted.batch, shown)

    def state(self, state: BatchState, *, items: bool) -> BatchView:
        """Show a batch as it is now, with its ``items`` or without."""
        room = ANSWER_BYTES // max(1, len(state.jobs))
        shown = {
            n: self._jobs.job(job, outputs=state.outputs.get(n, NO_OUTPUTS), room=room)
            for n, job in state.jobs.items()
        }
        whole = self._batch(state.batch, shown)
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

    def _batch(self, batch: Batch, jobs: dict[int, JobView]) -> BatchView:
        items = [_item(batch, index, jobs.get(index)) for index in range(batch.size)]
        counts = _counts(items)
        return BatchView(
            batch_id=batch.id,
            size=batch.size,
            done=counts.queued + counts.running == 0,
            progress=sum(_progress(item) for item in items) / batch.size,
            counts=counts,
            seq=sum(job.seq for job in jobs.values()),
            created_at=batch.created_at,
            canceled=batch.canceled,
            retry_of=_retry_of(batch),
            items=items,
            urls=self._urls(batch),
        )


def _item(batch: Batch, index: int, job: JobView | None) -> BatchItem:
    original = None if batch.retried is None else batch.retried.indexes[index]
    if job is not None:
        return BatchItem(index=index, original_index=original, job=job)
    error = RefusalView.of(batch.refusals.get(index, GONE))
    return BatchItem(index=index, original_index=original, error=error)


def _retry_of(batch: Batch) -> RetriedBatch | None:
    retried = batch.retried
    return None if retried is None else RetriedBatch(batch_id=retried.batch_id, size=retried.size)


def _counts(items: Iterable[BatchItem]) -> BatchCounts:
    counts = BatchCounts()
    for item in items:
        name = _place(item)
        setattr(counts, name, getattr(counts, name) + 1)
    return counts


def _place(item: BatchItem) -> str:
    if item.job is not None:
        return item.job.status
    return "gone" if item.error is not None and item.error.code == GONE.code else "refused"


def _progress(item: BatchItem) -> float:
    if item.job is None or item.job.status not in ("queued", "running"):
        return 1.0
    return item.job.progress
