"""``RATE#…``: what tenants, keys and subjects of tokens have used of their limits, each as one
number that grows."""

from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256

from comfyq.domain.caller import TenantId
from comfyq.domain.submission.batch import MAX_REQUESTS
from comfyq.domain.token_bucket import WINDOW_S, TokenBucket
from comfyq.ports.table import Key, Sum, Table
from comfyq.records.times import to_ms

FORGOTTEN = timedelta(hours=1)  # after the end of a day
NO_BOUND = 2**53  # of a number that goes down


class UsedRecords:
    def __init__(self, table: Table) -> None:
        self._table = table

    async def take(self, key: Key, bucket: TokenBucket, tokens: int, *, now: datetime) -> Sum:
        """Take tokens out of a bucket if it has them; the sum is when it is full again, in
        microseconds."""
        now_us = to_us(now)
        return await self._table.add(
            key,
            bucket.price_us(tokens),
            least=now_us,
            most=bucket.latest_us(tokens, now_us=now_us),
            ttl=_ttl(bucket, tokens, now),
        )

    async def give_back(self, key: Key, bucket: TokenBucket, tokens: int, *, now: datetime) -> int:
        """Give back tokens that were taken for nothing; return when the bucket is full."""
        ttl = _ttl(bucket, MAX_REQUESTS, now)  # others may have taken more meanwhile
        given = await self._table.add(
            key, -bucket.price_us(tokens), least=to_us(now), most=NO_BOUND, ttl=ttl
        )
        return given.number

    async def full_us(self, key: Key) -> int:
        """Return when a bucket is full, in microseconds; 0: it is."""
        return await self._number(key)

    async def count_jobs(self, tenant: TenantId, jobs: int, *, most: int, day: date) -> Sum:
        """Count jobs of a tenant's day, unless they would be over ``most`` with those before."""
        ttl = to_ms(end_of(day) + FORGOTTEN) // 1000
        return await self._table.add(day_key(tenant, day), jobs, most=most - jobs, ttl=ttl)

    async def uncount_jobs(self, tenant: TenantId, jobs: int, *, day: date) -> None:
        """Take back a count of jobs of a tenant's day."""
        await self.count_jobs(tenant, -jobs, most=NO_BOUND, day=day)

    async def jobs_of(self, tenant: TenantId, day: date) -> int:
        """Return how many jobs of a tenant's day were counted."""
        return await self._number(day_key(tenant, day))

    async def _number(self, key: Key) -> int:
        item = await self._table.get(key)
        return 0 if item is None else int(item["n"])


def _ttl(bucket: TokenBucket, tokens: int, now: datetime) -> int:
    """Return a second at which a bucket is full again that so many tokens were taken of, as one
    that is absent is."""
    return to_ms(now) // 1000 + 2 + WINDOW_S * (1 + tokens // bucket.size)


def end_of(day: date) -> datetime:
    """Return when a day of UTC ends."""
    return datetime.combine(day + timedelta(days=1), time.min, UTC)


def tenant_bucket(tenant: TenantId) -> Key:
    return f"RATE#tenant#{tenant}", "-"


def key_bucket(key_id: str) -> Key:
    return f"RATE#key#{key_id}", "-"


def subject_bucket(tenant: TenantId, subject: str) -> Key:
    """Return the bucket of an issuer's subject, whose name may have any form."""
    return f"RATE#subject#{tenant}#{sha256(subject.encode()).hexdigest()}", "-"


def day_key(tenant: TenantId, day: date) -> Key:
    return f"RATE#jobs#{tenant}", day.isoformat()


def to_us(when: datetime) -> int:
    return to_ms(when) * 1000
