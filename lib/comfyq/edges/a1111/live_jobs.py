"""The jobs of a caller's tenant that were submitted by this API and have not ended."""

from collections.abc import Callable, Sequence
from typing import Protocol

from comfyq.domain.caller import Caller
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.submission.selection import Selection
from comfyq.edges.a1111.values import LABELS, OURS
from comfyq.services.jobs.listing import MOST_READ, JobListing
from comfyq.wire.a1111.views import ProgressView, StateView

FIRST = 100  # live jobs of any API that are looked at, of which most tenants have fewer
LIVE = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})


class LiveJobServices(Protocol):
    """The services that finding them needs."""

    @property
    def listing(self) -> JobListing: ...


async def live_jobs(services: LiveJobServices, caller: Caller) -> Sequence[Job]:
    """Return the jobs, the oldest first; those by which statuses are listed lag a little.

    Who has more live jobs than the first page has is not read to the end, at each look at a
    progress: the newest jobs of this API are, as far as one request reads.
    """
    ours = OURS[LABELS]
    page = await services.listing.page(caller, Selection(statuses=LIVE), limit=FIRST)
    found = {job.id: job for job in page.jobs if ours.items() <= job.labels.items()}
    if page.cursor is not None:
        selection = Selection(statuses=LIVE, labels=ours)
        labeled = await services.listing.page(caller, selection, limit=MOST_READ)
        found |= {job.id: job for job in labeled.jobs}
    return sorted(found.values(), key=lambda job: job.created_at)


def progress_of(jobs: Sequence[Job], picture_of: Callable[[JobId], str | None]) -> ProgressView:
    """Show how far jobs are together, and the preview of the first that has one; none: nothing is
    made."""
    if not jobs:
        return ProgressView(state=StateView())
    running = [job for job in jobs if job.status is JobStatus.RUNNING]
    shown = (running or jobs)[0]
    state = StateView(
        job=shown.id,
        job_count=len(jobs),
        job_timestamp=shown.created_at.strftime("%Y%m%d%H%M%S"),
        sampling_step=shown.progress.step,
        sampling_steps=shown.progress.max_steps,
    )
    done = sum(job.progress.fraction for job in running)
    pictures = filter(None, (picture_of(job.id) for job in running))
    return ProgressView(progress=done / len(jobs), state=state, current_image=next(pictures, None))
