"""A tenant's jobs that go on, which are the queue of the one ComfyUI that its clients see."""

from collections.abc import Sequence

from comfyq.aio.tasks import limited
from comfyq.domain.caller import Caller
from comfyq.domain.errors import JobNotFound
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.submission.selection import Selection
from comfyq.domain.submission.spec import Spec
from comfyq.edges.comfyui.jobs import FindServices

PAGE = 100
MOST = 1_000  # jobs that go on, of those that are counted and shown
AT_ONCE = 10
QUEUED, RUNNING = frozenset({JobStatus.QUEUED}), frozenset({JobStatus.RUNNING})


async def unfinished(services: FindServices, caller: Caller) -> Sequence[Job]:
    """Return the jobs that go on, newest first; of more than MOST those that have waited least."""
    return await all_of_status(services, caller, QUEUED | RUNNING, most=MOST)


async def all_of_status(
    services: FindServices, caller: Caller, statuses: frozenset[JobStatus], *, most: int
) -> Sequence[Job]:
    """Return up to ``most`` jobs of these statuses."""
    jobs: list[Job] = []
    cursor = None
    while len(jobs) < most:
        page = await services.listing.page(
            caller, Selection(statuses=statuses), limit=PAGE, after=cursor
        )
        jobs += page.jobs
        cursor = page.cursor
        if cursor is None:
            break
    return jobs[:most]


async def with_specs(
    services: FindServices, caller: Caller, jobs: Sequence[Job]
) -> Sequence[tuple[Job, Spec]]:
    """Return jobs with their work, but for those that are deleted meanwhile."""
    by_id = {job.id: job for job in jobs}

    async def spec(job_id: JobId) -> Spec | None:
        try:
            return await services.queries.spec(caller, job_id)
        except JobNotFound:
            return None

    specs = await limited(AT_ONCE, by_id, spec)
    return [(by_id[job_id], each) for job_id, each in specs.items() if each is not None]
