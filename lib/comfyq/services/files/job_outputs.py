"""Outputs of earlier jobs that later ones take as input files, by the ids that they have as files.

No bytes are copied: the earlier job is not deleted while a later one, which has not ended, needs
its output.
"""

from datetime import datetime

from comfyq.domain import job as jobs
from comfyq.domain.caller import TenantId
from comfyq.domain.errors import AssetNotFound, Conflict, IllegalTransition, JobNotFound
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.output import MAX_OUTPUTS, Output
from comfyq.domain.job import Job, JobId
from comfyq.domain.job.output_id import output_place
from comfyq.records.jobs import JobRecords
from comfyq.records.reuse.reusers import ReuserRecords
from comfyq.services.files.job_deletion import LAST


class JobOutputs:
    """To a tenant, outputs of another one's jobs do not exist."""

    def __init__(self, *, records: JobRecords, reusers: ReuserRecords) -> None:
        self._records = records
        self._reusers = reusers

    async def find(self, tenant: TenantId, asset_id: AssetId) -> Output:
        """Return the output of this id; raises AssetNotFound, also for a text, which is no file."""
        job_id, index = _place(asset_id)
        try:
            job = await self._records.get(job_id)
        except JobNotFound:
            raise _missing(asset_id) from None
        if job.tenant != tenant:
            raise _missing(asset_id)
        page = await self._records.output_page(job.id, start=index, end=index + 1)
        if not page.outputs:
            raise _missing(asset_id)
        if not page.outputs[0].key:
            raise AssetNotFound(f"asset {asset_id} is a text that a job has made, and no file")
        return page.outputs[0]

    async def use(self, tenant: TenantId, asset_id: AssetId, *, by: JobId) -> Output:
        """Return an output that a job which is not stored yet needs until its end.

        Raises:
            AssetNotFound: there is none, or its job is about to be deleted.
        """
        output, (earlier, _) = await self.find(tenant, asset_id), _place(asset_id)
        # Noted before the earlier job is changed, which ``condemn`` does before the notes are read:
        # of a use and a deletion at the same time, the later one sees the other.
        is_new = await self._reusers.add(earlier, by)
        try:
            await self._records.update(await self._records.get(earlier), _noted)
        except (JobNotFound, Conflict):
            if is_new:
                await self._reusers.withdraw(earlier, by)
            raise _missing(asset_id) from None
        return output


def _place(asset_id: AssetId) -> tuple[JobId, int]:
    place = output_place(asset_id)
    if place is None or not 0 <= place[1] < MAX_OUTPUTS:
        raise _missing(asset_id)
    return place


def _noted(earlier: Job, *, now: datetime) -> Job:
    """Return the job such that its deletion looks for others that need it, at the same time.

    Raises IllegalTransition if it is too near that: whoever deletes it may have looked.
    """
    if not earlier.end_pending and earlier.due_at - now < LAST:
        raise IllegalTransition(f"{earlier.id} is about to be deleted")
    return earlier if earlier.kept_until is not None else jobs.keep(earlier, until=now, now=now)


def _missing(asset_id: AssetId) -> AssetNotFound:
    return AssetNotFound(f"there is no asset {asset_id}")
