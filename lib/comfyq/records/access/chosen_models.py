"""``NAME#tenant#…``: the models that clients of AUTOMATIC1111's API have chosen, among the other
names that a tenant's clients have given.

An item is found by a digest of who has chosen. No place of a file begins as ``MODEL`` does, so that
none has the same digest."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from comfyq.domain.caller import TenantId
from comfyq.ports.table import Key, Put, Table
from comfyq.records.files.file_names import LISTED_UNDER
from comfyq.records.times import from_ms, sortable, to_ms

MODEL = "\0model\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenModel:
    tenant: TenantId
    chooser: str
    name: str  # of a workflow
    expires_at: datetime


class ChosenModelRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId, chooser: str) -> ChosenModel | None:
        item = await self._table.get(_key(tenant, chooser))
        if item is None:
            return None
        expires_at = from_ms(item["expires"])
        return ChosenModel(
            tenant=tenant, chooser=chooser, name=item["model"], expires_at=expires_at
        )

    async def put(self, chosen: ChosenModel) -> None:
        """Store a choice in the place of the one before; of two at once, the later one stays."""
        pk, sk = _key(chosen.tenant, chosen.chooser)
        item = {
            "pk": pk,
            "sk": sk,
            "model": chosen.name,
            "expires": to_ms(chosen.expires_at),
            "ttl": to_ms(chosen.expires_at) // 1000,
            "tpk": f"{LISTED_UNDER}#{chosen.tenant}",
            "tsk": f"{sortable(chosen.expires_at)}#{pk}",
        }
        await self._table.write(Put(item))


def _key(tenant: TenantId, chooser: str) -> Key:
    return f"NAME#{tenant}#{sha256(f'{MODEL}{chooser}'.encode()).hexdigest()}", "-"
