"""API keys: ``KEY`` / id. One partition: all keys are listed consistently, without an index."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from comfyq.domain.api_key import ApiKey, KeyId
from comfyq.domain.caller import DEFAULT_TENANT, SUBMITTING, Scope, TenantId
from comfyq.ports.table import ConditionFailed, Cursor, Delete, Item, Put, Table
from comfyq.records.times import from_ms, optional_ms, optional_time, to_ms

PARTITION = "KEY"
PAGE = 200
SHOWN = timedelta(days=30)  # an expired key is listed for so long


class ApiKeyRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, key: ApiKey) -> None:
        await self._table.write(Put(_item(key, version=1), absent=True))

    async def get(self, key_id: KeyId) -> ApiKey | None:
        item = await self._table.get((PARTITION, key_id))
        return None if item is None else _key(item)

    async def all(self) -> Sequence[ApiKey]:
        """Return every tenant's keys, in no particular order."""
        keys: list[ApiKey] = []
        after: Cursor | None = None
        while True:
            page = await self._table.query("main", PARTITION, limit=PAGE, after=after)
            keys += map(_key, page.items)
            after = page.cursor
            if after is None:
                return keys

    async def remove(self, key_id: KeyId) -> None:
        await self._table.write(Delete((PARTITION, key_id)))

    async def note_use(self, key_id: KeyId, now: datetime) -> ApiKey | None:
        """Store when a key was used, unless it was removed meanwhile; return it as it is now."""
        item = await self._table.get((PARTITION, key_id))
        if item is None:
            return None
        key = replace(_key(item), last_used_at=now)
        try:
            version = item["version"]
            await self._table.write(Put(_item(key, version=version + 1), version=version))
        except ConditionFailed as refused:
            # Another process noted it first, or the key was revoked.
            return _key(refused.found[0]) if refused.found[0] else None
        return key


def _item(key: ApiKey, *, version: int) -> Item:
    return {
        "pk": PARTITION,
        "sk": key.id,
        "version": version,
        "tenant": key.tenant,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "divided": True,  # `graph` and `wait` are named if it has them
        "apart": True,  # `operator` is named if it has that
        "secret_hash": key.secret_hash,
        "created": to_ms(key.created_at),
        "expires": optional_ms(key.expires_at),
        "rate": key.requests_per_minute,
        "used": optional_ms(key.last_used_at),
        "ttl": None if key.expires_at is None else to_ms(key.expires_at + SHOWN) // 1000,
    }


def _scopes(item: Item) -> frozenset[Scope]:
    """Read a key's scopes. One that was made before a scope was divided keeps all of it:
    ``submit``, and in the tenant of whoever runs the server ``admin``."""
    scopes = frozenset(scope for scope in Scope if scope in item["scopes"])
    if "divided" not in item and Scope.SUBMIT in scopes:
        scopes |= SUBMITTING
    is_operators = Scope.ADMIN in scopes and item["tenant"] == DEFAULT_TENANT
    if "apart" not in item and is_operators:
        scopes |= {Scope.OPERATOR}
    return scopes


def _key(item: Item) -> ApiKey:
    return ApiKey(
        id=KeyId(item["sk"]),
        tenant=TenantId(item["tenant"]),
        name=item["name"],
        scopes=_scopes(item),
        secret_hash=item["secret_hash"],
        created_at=from_ms(item["created"]),
        expires_at=optional_time(item.get("expires")),
        requests_per_minute=item.get("rate"),
        last_used_at=optional_time(item.get("used")),
    )
