"""``RATE#…``: what tenants and keys have used of their limits, each as one number that grows."""

from datetime import date, datetime, timedelta

from comfyq.domain.caller import TenantId
from comfyq.domain.token_bucket import WINDOW_S, TokenBucket
from comfyq.ports.table import Key, Sum, Table
from comfyq.records.times import to_ms

FORGOTTEN = timedelta(hours=1)  # after the end of a day


class UsedRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def take(self, key: Key, bucket: TokenBucket, tokens: int, *, now: datetime) -> Sum:
        """Take tokens out of a bucket if it has them; return when it is full, in microseconds."""
        now_us = to_us(now)
        return await self._table.add(
            key,
            bucket.price_us(tokens),
            least=now_us,
            most=bucket.latest_us(tokens, now_us=now_us),
            # Beyond it the bucket is full, as one that is absent is.
            ttl=to_ms(now) // 1000 + 2 + WINDOW_S * (1 + tokens // bucket.size),
        )

    async def full_us(self, key: Key) -> int:
        """Return when a bucket is full, in microseconds; 0: it is."""
        return await self._number(key)

    async def count_jobs(self, tenant: TenantId, jobs: int, *, most: int, now: datetime) -> Sum:
        """Count jobs of a tenant's day, unless they would be over ``most`` with those before."""
        ends = datetime.combine(now.date(), datetime.min.time(), now.tzinfo) + timedelta(days=1)
        ttl = to_ms(ends + FORGOTTEN) // 1000
        return await self._table.add(day_key(tenant, now.date()), jobs, most=most - jobs, ttl=ttl)

    async def jobs_of(self, tenant: TenantId, day: date) -> int:
        """Return how many jobs of a tenant's day were counted."""
        return await self._number(day_key(tenant, day))

    async def _number(self, key: Key) -> int:
        item = await self._table.get(key)
        return 0 if item is None else int(item["n"])


def tenant_bucket(tenant: TenantId) -> Key:
    return f"RATE#tenant#{tenant}", "-"


def key_bucket(key_id: str) -> Key:
    return f"RATE#key#{key_id}", "-"


def day_key(tenant: TenantId, day: date) -> Key:
    return f"RATE#jobs#{tenant}", day.isoformat()


def to_us(when: datetime) -> int:
    return to_ms(when) * 1000
