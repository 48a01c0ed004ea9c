"""Deletion of assets that their clients want no more.

An asset is hidden at once: no new job can name it, and the same bytes are stored anew. A job that
named it a moment before may not be stored yet, so its bytes stay a while. Then the reaper looks
once more for jobs that need it, and deletes it if there is none.
"""

from datetime import timedelta
from typing import Protocol

from comfyq.domain.audit import Actor, AuditAction
from comfyq.domain.caller import Caller, TenantId
from comfyq.domain.errors import AssetNotFound, TooContended
from comfyq.domain.files.asset import Asset, AssetId, AssetInUse
from comfyq.ports.assets import Assets
from comfyq.ports.clock import Clock
from comfyq.records.files.assets import AssetRecords
from comfyq.services.files.asset_uses import AssetUses

TRIES = 5
BATCH = 25  # hidden assets that one round looks at
GRACE = timedelta(minutes=10)  # within which a job that named the asset has been stored
AGAIN = timedelta(hours=1)  # between two looks at an asset that a job still needs


class Log(Protocol):
    """The audit log."""

    async def note(
        self, tenant: TenantId, by: Actor, action: AuditAction, subject: str, **details: str
    ) -> None: ...


class AssetDeletion:
    def __init__(
        self, *, records: AssetRecords, uses: AssetUses, assets: Assets, audit: Log, clock: Clock
    ) -> None:
        self._records = records
        self._uses = uses
        self._assets = assets
        self._audit = audit
        self._clock = clock

    async def delete(self, caller: Caller, asset_id: AssetId) -> None:
        """Hide an asset from its client, and let its bytes be deleted.

        Raises:
            AssetNotFound.
            AssetInUse: a job that has not ended needs it.
            TableUnavailable: nothing was deleted; what cannot be noted is not.
        """
        for number in range(TRIES):
            asset = await self._records.get(asset_id)
            if asset.tenant != caller.tenant:
                raise AssetNotFound(f"there is no asset {asset_id}")
            if await self._uses.are_needed(asset):
                raise AssetInUse(f"asset {asset_id} cannot be deleted now; try again later")
            if number == 0:
                await self._audit.note(
                    caller.tenant,
                    Actor.of(caller),
                    AuditAction.FILE_DELETED,
                    asset_id,
                    filename=asset.filename,
                )
            try:
                return await self._records.hide(asset, until=self._clock.now() + GRACE)
            except TooContended:
                continue  # it was used meanwhile
        raise TooContended(f"asset {asset_id} is being changed by other requests; try again")

    async def go_on(self) -> int:
        """Delete hidden assets that no job needs; return how many were deleted."""
        now, deleted = self._clock.now(), 0
        for asset in await self._records.hidden(now, limit=BATCH):
            deleted += await self._finish(asset)
        return deleted

    async def _finish(self, asset: Asset) -> bool:
        if await self._uses.are_needed(asset):
            await self._records.hide(asset, until=self._clock.now() + AGAIN)
            return False
        await self._assets.delete(asset.key)
        await self._records.remove(asset)
        return True
