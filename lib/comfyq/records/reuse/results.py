"""``REUSE#tenant#key``: which job made the results that are known by a key.

Jobs that asked for reuse alone are noted here. An item owns nothing: whether the job is still
there, and for how long, is asked of the job.
"""

from datetime import datetime

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId
from comfyq.ports.table import Key, Put, Table
from comfyq.records.times import to_ms

LISTED_UNDER = "REUSES"  # with the tenant, the partition of the index `tenant`


class ResultRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def find(self, tenant: TenantId, key: str) -> JobId | None:
        """The tenant's job whose results are known by ``key``; it may have been deleted since."""
        item = await self._table.get(_key(tenant, key))
        return None if item is None else JobId(item["job"])

    async def note(self, tenant: TenantId, key: str, job_id: JobId, *, until: datetime) -> None:
        """Let jobs find the results of this one, instead of any other's."""
        pk, sk = _key(tenant, key)
        listed = {"tpk": f"{LISTED_UNDER}#{tenant}", "tsk": job_id}
        ttl = to_ms(until) // 1000
        await self._table.write(Put({"pk": pk, "sk": sk, "job": job_id, "ttl": ttl, **listed}))


def _key(tenant: TenantId, key: str) -> Key:
    return f"REUSE#{tenant}#{key}", "-"
