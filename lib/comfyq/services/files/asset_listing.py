"""The files that a client has stored: what counts against its tenant's stored bytes."""

from collections.abc import Sequence

from comfyq.domain.caller import Caller
from comfyq.domain.files.asset import Asset
from comfyq.ports.table import Cursor
from comfyq.records.files.assets import AssetRecords


class AssetListing:
    def __init__(self, *, records: AssetRecords) -> None:
        self._records = records

    async def page(
        self, caller: Caller, *, limit: int, after: Cursor | None = None
    ) -> tuple[Sequence[Asset], Cursor | None]:
        """Return a page of the tenant's files, those stored last first, and where the next one
        begins. It may have fewer than ``limit``, or none: what is being deleted is left out."""
        return await self._records.page(caller.tenant, limit=limit, after=after)
