"""The jobs of a caller's tenant that were submitted by this API and have not ended."""

from collections.abc import Sequence
from typing import Protocol

from comfyq.domain.caller import Caller
from comfyq.domain.job import Job, JobStatus
from comfyq.domain.submission.selection import Selection
from comfyq.edges.a1111.values import LABELS, OURS
from comfyq.services.jobs.listing import JobListing
from comfyq.wire.a1111.views import ProgressView, StateView

MOST = 100  # that are looked at
LIVE = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})


class LiveJobServices(Protocol):
    """The services that finding them needs."""

    @property
    def listing(self) -> JobListing: ...


async def live_jobs(services: LiveJobServices, caller: Caller) -> Sequence[Job]:
    """Return the jobs, the oldest first; those by which statuses are listed lag a little."""
    page = await services.listing.page(caller, Selection(statuses=LIVE), limit=MOST)
    ours = OURS[LABELS].items()
    return sorted(
        (job for job in page.jobs if ours <= job.labels.items()), key=lambda job: job.created_at
    )


def progress_of(jobs: Sequence[Job]) -> ProgressView:
    """Show how far jobs are together; none: nothing is made."""
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
    return ProgressView(progress=done / len(jobs), state=state)
