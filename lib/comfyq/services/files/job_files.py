"""Files that jobs name by id: those that clients have stored, and outputs of earlier jobs."""

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import AssetNotFound
from comfyq.domain.files.asset import Asset, AssetId
from comfyq.domain.files.output import Output
from comfyq.records.files.assets import AssetRecords
from comfyq.services.files.job_outputs import JobOutputs


class JobFiles:
    def __init__(self, *, records: AssetRecords, outputs: JobOutputs) -> None:
        self._records = records
        self._outputs = outputs

    async def find(self, tenant: TenantId, asset_id: AssetId) -> Asset | Output:
        """Return the file, hidden or not, that a tenant's job has named; raises AssetNotFound."""
        try:
            asset = await self._records.get_for_job(asset_id)
        except AssetNotFound:
            return await self._outputs.find(tenant, asset_id)
        return asset if asset.tenant == tenant else await self._outputs.find(tenant, asset_id)
