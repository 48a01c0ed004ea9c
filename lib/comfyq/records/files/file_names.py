"""``NAME#tenant#…``: the names under which clients of ComfyUI's API have stored files.

An item is found by a digest of the place, so that no name is too long for a key. It expires some
time after the file that it leads to."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from comfyq.domain.caller import TenantId
from comfyq.domain.files.asset import AssetId
from comfyq.domain.files.file_place import FilePlace
from comfyq.ports.table import ConditionFailed, Key, Put, Table
from comfyq.records.times import from_ms, sortable, to_ms

LISTED_UNDER = "NAMES"  # with the tenant, the partition of the index `tenant`


@dataclass(frozen=True, slots=True, kw_only=True)
class FileName:
    """A name, and the file that was stored under it last."""

    tenant: TenantId
    place: FilePlace
    asset: AssetId
    blake3: str  # of its content
    expires_at: datetime


class FileNameRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId, place: FilePlace) -> FileName | None:
        item = await self._table.get(_key(tenant, place))
        if item is None:
            return None
        return FileName(
            tenant=tenant,
            place=place,
            asset=AssetId(item["asset"]),
            blake3=item["blake3"],
            expires_at=from_ms(item["expires"]),
        )

    async def add(self, name: FileName) -> bool:
        """Store a name; False: it is taken."""
        try:
            await self._write(name, absent=True)  # of concurrent files, one gets the name
        except ConditionFailed:
            return False
        return True

    async def replace(self, name: FileName) -> None:
        """Store a name in the place of the one that there is."""
        await self._write(name, absent=False)

    async def _write(self, name: FileName, *, absent: bool) -> None:
        pk, sk = _key(name.tenant, name.place)
        item = {
            "pk": pk,
            "sk": sk,
            "asset": name.asset,
            "blake3": name.blake3,
            "expires": to_ms(name.expires_at),
            "ttl": to_ms(name.expires_at) // 1000,
            "tpk": f"{LISTED_UNDER}#{name.tenant}",
            "tsk": f"{sortable(name.expires_at)}#{pk}",
        }
        await self._table.write(Put(item, absent=absent))


def _key(tenant: TenantId, place: FilePlace) -> Key:
    return f"NAME#{tenant}#{sha256(place.text.encode()).hexdigest()}", "-"
