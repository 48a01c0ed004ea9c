"""The limits on requests a minute: of each tenant, and of each of its keys and of the people and
programs whose tokens it lets in."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from comfyq.domain.caller import Caller, yours
from comfyq.domain.errors import DomainError, RateLimited
from comfyq.domain.token_bucket import TokenBucket, seconds
from comfyq.ports.clock import Clock
from comfyq.ports.table import Key
from comfyq.records.limits.used import (
    UsedRecords,
    key_bucket,
    subject_bucket,
    tenant_bucket,
    to_us,
)
from comfyq.services.limits.tenant_limits import TenantLimits

BUCKETS = 2_000  # that are remembered


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit that holds for a caller, and the bucket that counts it."""

    of: str  # "key", "subject" or "tenant"
    key: Key
    bucket: TokenBucket
    source: str  # what sets the limit


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller has left of one limit."""

    of: str
    limit: int  # requests a minute, and at once
    left: int
    full_in_s: int  # until all of it is there again


class RateLimit:
    """Takes a token for each request: one conditional write for each limit, none without.

    A caller that is known to have used a limit up is refused without a write, and what is refused
    uses up no other limit.
    """

    def __init__(
        self, *, records: UsedRecords, limits: TenantLimits, clock: Clock, per_key: int | None
    ) -> None:
        self._records = records
        self._limits = limits
        self._clock = clock
        self._per_key = per_key  # where a key has none of its own, and of tokens; None: none
        self._full_us: dict[Key, int] = {}  # when each bucket is full, as far as is known

    async def acquire(self, caller: Caller, requests: int = 1) -> None:
        """Count ``requests`` for the caller's key and tenant, for both or none.

        Raises:
            RateLimited: one of them has used up what it may send for now.
            TableUnavailable.
        """
        await self.require_room(caller, requests)
        rates, now = await self._rates(caller), self._clock.now()
        for number, rate in enumerate(rates):
            try:
                full_us, taken = await self._records.take(rate.key, rate.bucket, requests, now=now)
            except DomainError:
                with suppress(DomainError):  # then some tokens are taken for nothing
                    await self._give_back(rates[:number], requests, now=now)
                raise
            self._note(rate.key, full_us)
            if not taken:
                await self._give_back(rates[:number], requests, now=now)
                # None: another request has given back what this one met
                raise self._refusal(rates, requests, now=now) or _refused(rate, requests, wait_s=1)

    async def require_room(self, caller: Caller, requests: int) -> None:
        """Raise RateLimited if the caller is known to have no room for ``requests``; counts
        nothing."""
        rates = await self._rates(caller)
        if (known := self._refusal(rates, requests, now=self._clock.now())) is not None:
            raise known

    def of_client(self, caller: Caller) -> int | None:
        """Return how many requests a minute a caller's key or subject may send; None: as many as
        its tenant."""
        return caller.requests_per_minute or self._per_key

    async def standing(self, caller: Caller, *, fresh: bool = False) -> Sequence[Allowance]:
        """Return what a caller has left of each limit, as this process knows it, or ``fresh``."""
        now_us = to_us(self._clock.now())
        allowances = []
        for rate in await self._rates(caller):
            if fresh:
                self._note(rate.key, await self._records.full_us(rate.key))
            full_us = self._full_us.get(rate.key, 0)
            left = rate.bucket.left(full_us, now_us=now_us)
            limit, full_in_s = rate.bucket.size, seconds(full_us - now_us)
            allowances.append(Allowance(rate.of, limit, left, full_in_s))
        return allowances

    async def _rates(self, caller: Caller) -> Sequence[Rate]:
        """Return a caller's limits, that of its key or token first: none uses up another's."""
        rates = []
        of_key = self.of_client(caller)
        if caller.key is not None and of_key is not None:
            is_own = caller.requests_per_minute is not None
            source = "the key's own `--rate`" if is_own else "COMFYQ_KEY_REQUESTS_PER_MINUTE"
            rates.append(Rate("key", key_bucket(caller.key), TokenBucket(of_key), source))
        if caller.subject is not None and self._per_key is not None:
            bucket = subject_bucket(caller.tenant, caller.subject)
            source = "COMFYQ_KEY_REQUESTS_PER_MINUTE"
            rates.append(Rate("subject", bucket, TokenBucket(self._per_key), source))
        limits = await self._limits.of(caller.tenant)
        if limits.requests_per_minute is not None:
            key, source = tenant_bucket(caller.tenant), limits.source("requests_per_minute")
            rates.append(Rate("tenant", key, TokenBucket(limits.requests_per_minute), source))
        return rates

    def _refusal(
        self, rates: Sequence[Rate], requests: int, *, now: datetime
    ) -> RateLimited | None:
        """Return the refusal by the limit that is known to have no room for the longest time."""
        waits_us = [
            self._full_us.get(rate.key, 0) - rate.bucket.latest_us(requests, now_us=to_us(now))
            for rate in rates
        ]
        longest_us = max(waits_us, default=0)
        if longest_us <= 0:
            return None
        return _refused(rates[waits_us.index(longest_us)], requests, wait_s=seconds(longest_us))

    async def _give_back(self, rates: Sequence[Rate], requests: int, *, now: datetime) -> None:
        for rate in rates:
            full_us = await self._records.give_back(rate.key, rate.bucket, requests, now=now)
            self._note(rate.key, full_us)

    def _note(self, key: Key, full_us: int) -> None:
        self._full_us.pop(key, None)
        self._full_us[key] = full_us
        if len(self._full_us) > BUCKETS:
            self._full_us.pop(next(iter(self._full_us)))


def _refused(rate: Rate, requests: int, *, wait_s: int) -> RateLimited:
    asked = "another request" if requests == 1 else f"{requests} more"
    return RateLimited(
        f"{yours(rate.of)} may send {rate.bucket.size} requests a minute ({rate.source}), and has "
        f"no room for {asked} yet; send again in {max(1, wait_s)} s",
        retry_after_s=max(1, wait_s),
    )
