"""The keys of an issuer, fetched again when they are old or one is asked for that is unknown."""

from asyncio import Lock
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from jwt import PyJWK

from comfyq.adapters.oidc.documents import IssuerAway
from comfyq.adapters.oidc.key_set import KeySet
from comfyq.aio.logs import log
from comfyq.domain.recency import is_recent
from comfyq.domain.token_claims import IssuerUnavailable
from comfyq.ports.clock import Clock

FRESH = timedelta(minutes=10)  # keys that the issuer withdrew are known for so long
USABLE = timedelta(hours=2)  # while the issuer is away; most tokens have expired by then
APART = timedelta(seconds=10)  # between requests to the issuer, whoever makes up ids of keys

NEVER = datetime.min.replace(tzinfo=UTC)

Fetch = Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]


class IssuerKeys:
    """Keys that were fetched a moment ago, or a while ago if the issuer is away since."""

    def __init__(self, *, fetch: Fetch, clock: Clock) -> None:
        """``fetch`` returns the issuer's keys, and raises IssuerAway."""
        self._fetch = fetch
        self._clock = clock
        self._turn = Lock()
        self._keys: KeySet | None = None
        self._fetched_at = self._tried_at = NEVER
        self._failed = False

    async def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """Return one of the issuer's keys; None if it has no such key.

        Raises:
            IssuerUnavailable: that cannot be told, since the issuer does not answer.
        """
        key = self._known(key_id, algorithm)
        if key is not None and (self._is_fresh() or self._turn.locked()):
            return key
        async with self._turn:
            if self._known(key_id, algorithm) is None or not self._is_fresh():
                await self._refresh()
        key = self._known(key_id, algorithm)
        if key is None and self._failed:
            raise IssuerUnavailable(
                "tokens cannot be checked now: their issuer does not answer",
                retry_after_s=self._next_try_s(),
            )
        return key

    def _next_try_s(self) -> int:
        """Return after how many seconds the issuer may be asked again."""
        left = self._tried_at + APART - self._clock.now()
        return max(1, ceil(min(left, APART).total_seconds()))

    def _known(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        if self._keys is None or not self._is_within(USABLE, self._fetched_at):
            return None
        return self._keys.find(key_id, algorithm)

    def _is_fresh(self) -> bool:
        return self._is_within(FRESH, self._fetched_at)

    def _is_within(self, time: timedelta, since: datetime) -> bool:
        return is_recent(since, self._clock.now(), within=time)

    async def _refresh(self) -> None:
        """Fetch the keys, unless that was tried a moment ago; a failure keeps those there are."""
        if self._is_within(APART, self._tried_at):
            return
        self._tried_at, self._failed = self._clock.now(), True  # also if this is cut off
        try:
            self._keys = KeySet(await self._fetch())
        except IssuerAway as away:
            log.warning("issuer_away", reason=str(away))
            return
        self._fetched_at, self._failed = self._clock.now(), False
