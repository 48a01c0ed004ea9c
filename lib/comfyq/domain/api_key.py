"""API keys: the text that a client shows to be known, and what is kept of it.

The secret in a key has 256 random bits, so a fast hash of it cannot be searched. The hash is keyed
with the key's id: equal secrets would have different hashes.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NewType

from comfyq.domain.caller import Caller, Scope, TenantId
from comfyq.domain.errors import Conflict
from comfyq.domain.recency import is_recent

ID_BYTES = 8
SECRET_BYTES = 32
USE_NOTED = timedelta(hours=1)  # uses within it are one write
PREFIX = "cq_"
KEY = re.compile(PREFIX + r"([0-9a-f]{16})_([0-9a-f]{64})")

KeyId = NewType("KeyId", str)


class KeysNotAccepted(Conflict):
    """The server takes tokens alone, so that a key would let nobody in."""

    code = "keys-not-accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key of a tenant; whoever shows it is a caller of that tenant, with these scopes."""

    id: KeyId
    tenant: TenantId
    name: str  # for people
    scopes: frozenset[Scope]
    secret_hash: str
    created_at: datetime
    expires_at: datetime | None = None  # None: it never does
    requests_per_minute: int | None = None  # None: as many as with any other key
    last_used_at: datetime | None = None  # to the hour

    @property
    def caller(self) -> Caller:
        return Caller(
            self.tenant,
            self.scopes,
            key=self.id,
            until=self.expires_at,
            requests_per_minute=self.requests_per_minute,
        )

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def is_secret(self, secret: str) -> bool:
        """Compare with the key's secret, in a time that tells nothing about it."""
        return hmac.compare_digest(self.secret_hash, hash_of(self.id, secret))

    def notes_use(self, now: datetime) -> bool:
        """Return whether a use at ``now`` is to be stored."""
        noted = self.last_used_at
        return noted is None or not is_recent(noted, now, within=USE_NOTED)


def key_text(key_id: KeyId, secret: str) -> str:
    """Return what a client shows."""
    return f"{PREFIX}{key_id}_{secret}"


def has_key_prefix(text: str) -> bool:
    """Return whether a text is meant to be an API key."""
    return text.startswith(PREFIX)


def key_parts(text: str) -> tuple[KeyId, str] | None:
    """Return id and secret of what a client shows; None if it has not the form of a key."""
    parts = KEY.fullmatch(text)
    return None if parts is None else (KeyId(parts[1]), parts[2])


def hash_of(key_id: KeyId, secret: str) -> str:
    return hmac.new(key_id.encode(), secret.encode(), sha256).hexdigest()
