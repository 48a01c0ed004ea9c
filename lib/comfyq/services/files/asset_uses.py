"""Assets that jobs which have not ended need."""

from comfyq.aio.tasks import limited
from comfyq.domain.errors import JobNotFound
from comfyq.domain.files.asset import Asset, AssetId
from comfyq.domain.files.sources import asset_id_of
from comfyq.domain.job import JobId, JobStatus
from comfyq.ports.table import Cursor
from comfyq.records.indexes.listed_jobs import ListedJobs, of_statuses
from comfyq.records.jobs import JobRecords

UNFINISHED = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
PAGE = 100
MOST = 2_000  # jobs that are read; of more it is not told, and the asset counts as needed
AT_ONCE = 10


class AssetUses:
    def __init__(self, *, jobs: JobRecords, listed: ListedJobs) -> None:
        self._jobs = jobs
        self._listed = listed

    async def are_needed(self, asset: Asset) -> bool:
        """Return whether a job of the asset's tenant that has not ended may need it; the index of
        jobs lags."""
        partitions = of_statuses(asset.tenant, UNFINISHED)
        after: Cursor | None = None
        for _ in range(MOST // PAGE):
            page = await self._listed.page(partitions, limit=PAGE, after=after)
            jobs = [each.id for each in page.jobs]
            named = await limited(AT_ONCE, jobs, self._assets_of)
            if any(asset.id in assets for assets in named.values()):
                return True
            if page.is_last:
                return False
            after = page.jobs[-1].place
        return True

    async def _assets_of(self, job_id: JobId) -> frozenset[AssetId]:
        """Return the assets that a job names."""
        try:
            spec = await self._jobs.spec(job_id)
        except JobNotFound:
            return frozenset()  # deleted since
        named = (asset_id_of(file.source) for file in spec.inputs)
        return frozenset(each for each in named if each is not None)
