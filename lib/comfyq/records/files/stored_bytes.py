"""``STORED#tenant``: the bytes of a tenant's assets, written in the transactions that add and
remove their records."""

from dataclasses import dataclass

from comfyq.domain.caller import TenantId
from comfyq.ports.table import Key, Put, Table


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """The bytes of a tenant's assets as they were read; ``version`` grows with every write."""

    tenant: TenantId
    size: int = 0
    version: int | None = None  # None: the tenant has stored nothing yet

    def changed(self, by: int) -> Put:
        """Return the write that adds ``by`` bytes unless the number was written since."""
        pk, sk = _key(self.tenant)
        item = {"pk": pk, "sk": sk, "size": self.size + by, "version": (self.version or 0) + 1}
        return Put(item, absent=self.version is None, version=self.version)


async def stored_bytes(table: Table, tenant: TenantId) -> StoredBytes:
    """Read the bytes of a tenant's assets, consistently."""
    item = await table.get(_key(tenant))
    if item is None:
        return StoredBytes(tenant)
    return StoredBytes(tenant, item["size"], item["version"])


def _key(tenant: TenantId) -> Key:
    return f"STORED#{tenant}", "-"
