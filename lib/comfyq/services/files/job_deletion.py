"""Deletion of ended jobs with their files."""

from collections.abc import Sequence
from datetime import timedelta

from comfyq.aio.tasks import limited
from comfyq.domain.errors import JobNotFound, JobReused
from comfyq.domain.files.output import Output
from comfyq.domain.files.sources import asset_id_of
from comfyq.domain.job import Job, JobId, JobStatus
from comfyq.domain.job.output_id import output_place
from comfyq.ports.assets import Assets
from comfyq.ports.clock import Clock
from comfyq.records.jobs import JobRecords
from comfyq.records.limits.output_bytes import OutputBytes
from comfyq.records.reuse.reusers import Reuser, ReuserRecords
from comfyq.services.files.output_links import OutputLinks

DELETED_AT_ONCE = 32  # files of a job
NAMED = 5  # jobs that a refusal lists
MAY_BE_STORED_ANEW = frozenset({JobStatus.FAILED})  # under its id, when its message comes again
LAST = timedelta(minutes=5)  # before its deletion, a job is not reused; no request takes so long


class JobDeletion:
    """Delete ended jobs, the files first: a deletion that was cut off can be repeated."""

    def __init__(
        self,
        *,
        records: JobRecords,
        reusers: ReuserRecords,
        assets: Assets,
        clock: Clock,
        links: OutputLinks | None = None,
        output_bytes: OutputBytes | None = None,
    ) -> None:
        self._records = records
        self._reusers = reusers
        self._assets = assets
        self._clock = clock
        self._links = links
        self._output_bytes = output_bytes

    async def delete(self, job: Job) -> None:
        """Delete a job and the files that are its own; reused ones belong to the earlier job.

        ``job`` is as it was last stored, and not to be reused any more: by ``condemn``, or because
        its time is up.

        Raises:
            JobReused: other jobs have its files, or need them; nothing was deleted.
        """
        if job.kept_until is not None:  # which the first job that reuses it writes
            await self._refuse_if_reused(job)
        outputs: Sequence[Output] = ()
        if job.reused_from is None:
            outputs = await self._records.outputs(job.id)
            keys = [output.key for output in outputs if output.key]
            await limited(DELETED_AT_ONCE, keys, self._assets.delete)
        if self._links is not None:
            await self._links.remove(job)
        is_ours = await self._records.remove(job)  # of several deletions at once, one counts
        if is_ours and self._output_bytes is not None:
            await self._output_bytes.uncount(job, outputs)

    async def _refuse_if_reused(self, job: Job) -> None:
        named: list[str] = []
        async for reuser in self._reusers.of(job.id):
            if await self._needs(job.id, reuser):
                named.append(reuser.id)
            if len(named) > NAMED:
                named[NAMED:] = ["others"]
                break
        if named:
            others = ", ".join(named)
            raise JobReused(f"the files of job {job.id} are those of, or needed by, {others}")

    async def _needs(self, earlier: JobId, reuser: Reuser) -> bool:
        """Return whether a job that has results of ``earlier``, or takes them as its input until it
        ends, is stored, or may be about to be."""
        try:
            job = await self._records.get(reuser.id)
            if job.reused_from == earlier:
                return True
            if job.status not in MAY_BE_STORED_ANEW and await self._takes(job, earlier):
                return not job.status.terminal
        except JobNotFound:
            pass
        return self._clock.now() - reuser.since < LAST

    async def _takes(self, job: Job, earlier: JobId) -> bool:
        """Return whether an output of ``earlier`` is an input file of a job."""
        spec = await self._records.spec(job.id)
        named = [asset_id_of(file.source) for file in spec.inputs]
        places = [output_place(each) for each in named if each is not None]
        return any(place is not None and place[0] == earlier for place in places)
