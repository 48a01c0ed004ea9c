"""API keys: made, listed, revoked, and checked at each request."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from comfyq.aio.logs import log
from comfyq.domain.api_key import (
    ID_BYTES,
    SECRET_BYTES,
    ApiKey,
    KeyId,
    hash_of,
    key_parts,
    key_text,
)
from comfyq.domain.audit import UNKNOWN, Actor, AuditAction
from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.errors import (
    ApiKeyNotFound,
    DomainError,
    FieldError,
    InvalidParameters,
    Unauthenticated,
)
from comfyq.domain.recency import is_recent
from comfyq.ports.clock import Clock
from comfyq.records.api_keys import ApiKeyRecords
from comfyq.services.access.audit import Audit
from comfyq.services.access.open_sockets import OpenSockets

KNOWN_FOR = timedelta(seconds=3)  # a revoked key may still be used so long: by other processes,
# and here by a request whose read of it began before the key was removed
MAX_KNOWN = 1_000
WRONG = "the API key is unknown, wrong or revoked"


class ApiKeys:
    """Checks keys against the table; those that it has seen a moment ago, against its memory."""

    def __init__(
        self,
        *,
        records: ApiKeyRecords,
        sockets: OpenSockets,
        audit: Audit,
        clock: Clock,
        draw: Callable[[int], str],
    ) -> None:
        """``draw`` returns so many random bytes as hexadecimal digits."""
        self._records = records
        self._sockets = sockets
        self._audit = audit
        self._clock = clock
        self._draw = draw
        self._known: OrderedDict[KeyId, tuple[ApiKey, datetime]] = OrderedDict()

    async def create(
        self,
        tenant: TenantId,
        name: str,
        scopes: frozenset[Scope],
        *,
        lives: timedelta | None,
        not_after: datetime | None = None,
        requests_per_minute: int | None = None,
        by: Actor = UNKNOWN,
    ) -> tuple[ApiKey, str]:
        """Make a key that expires after ``lives`` (None: never), or at ``not_after``.

        Also return the text that its holder shows, which nobody can read again.

        Raises:
            InvalidParameters: ``lives`` goes beyond ``not_after``.
        """
        now = self._clock.now()
        key_id, secret = KeyId(self._draw(ID_BYTES)), self._draw(SECRET_BYTES)
        key = ApiKey(
            id=key_id,
            tenant=tenant,
            name=name,
            scopes=scopes,
            secret_hash=hash_of(key_id, secret),
            created_at=now,
            expires_at=_end(lives, now=now, not_after=not_after),
            requests_per_minute=requests_per_minute,
        )
        what = {"name": name, "scopes": " ".join(sorted(scopes))}
        await self._audit.note(tenant, by, AuditAction.KEY_CREATED, key_id, **what)
        await self._records.add(key)
        log.info("key_created", key=key_id, tenant=tenant, scopes=sorted(scopes))
        return key, key_text(key_id, secret)

    async def all(self, tenant: TenantId | None = None) -> Sequence[ApiKey]:
        """Return the keys of a tenant, or of all, the oldest first."""
        keys = await self._records.all()
        chosen = [key for key in keys if tenant is None or key.tenant == tenant]
        return sorted(chosen, key=lambda key: key.created_at)

    async def usable(self) -> bool:
        """Return whether a client could be let in by some key."""
        now = self._clock.now()
        return any(not key.has_expired(now) for key in await self._records.all())

    async def revoke(
        self, key_id: KeyId, *, tenant: TenantId | None = None, by: Actor = UNKNOWN
    ) -> ApiKey:
        """Remove a key, and end the sockets that were opened with it.

        Raises:
            ApiKeyNotFound: there is no such key, or not of ``tenant`` (None: of any).
        """
        key = await self._records.get(key_id)
        if key is None:
            # Those that a revocation that was cut off has left; whose they were is not known any
            # more, and a key that is gone lets nobody keep one.
            await self._sockets.end(key_id)
        if key is None or tenant not in (None, key.tenant):
            raise ApiKeyNotFound(f"there is no API key {key_id}")
        await self._audit.note(key.tenant, by, AuditAction.KEY_REVOKED, key_id, name=key.name)
        await self._records.remove(key_id)
        self._known.pop(key_id, None)
        log.info("key_revoked", key=key_id, tenant=key.tenant)
        await self._sockets.end(key_id)
        return key

    async def caller(self, text: str) -> Caller:
        """Return whom a key stands for; raises Unauthenticated."""
        parts = key_parts(text)
        key = None if parts is None else await self._current(parts[0])
        if parts is None or key is None or not key.is_secret(parts[1]):
            raise Unauthenticated(WRONG, given=True)
        now = self._clock.now()
        if key.has_expired(now):
            raise Unauthenticated(f"the API key {key.id} has expired", given=True)
        if key.notes_use(now):
            await self._note_use(key, now)
        return key.caller

    async def is_valid(self, key_id: str) -> bool:
        """Read from the table whether a key is still there and has not expired."""
        key = await self._records.get(KeyId(key_id))
        return key is not None and not key.has_expired(self._clock.now())

    async def _current(self, key_id: KeyId) -> ApiKey | None:
        now = self._clock.now()
        known = self._known.get(key_id)
        if known is not None and is_recent(known[1], now, within=KNOWN_FOR):
            return known[0]
        key = await self._records.get(key_id)
        self._remember(key_id, key, now)
        return key

    async def _note_use(self, key: ApiKey, now: datetime) -> None:
        try:
            self._remember(key.id, await self._records.note_use(key.id, now), now)
        except DomainError as away:  # the next use is noted instead
            log.warning("key_use_not_noted", key=key.id, reason=str(away))

    def _remember(self, key_id: KeyId, key: ApiKey | None, now: datetime) -> None:
        """Keep a key that is there: ids that are guessed push none out."""
        self._known.pop(key_id, None)
        if key is not None:
            self._known[key_id] = key, now
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)


def _end(lives: timedelta | None, *, now: datetime, not_after: datetime | None) -> datetime | None:
    """Return when a new key expires; raises InvalidParameters if that were after ``not_after``."""
    if lives is None:
        return not_after
    if not_after is not None and now + lives > not_after:
        left_s = int((not_after - now).total_seconds())
        message = (
            f"is too long; your own key expires in {left_s} s, and makes none that outlives it"
        )
        raise InvalidParameters([FieldError("expires_in_s", message)])
    return now + lives
