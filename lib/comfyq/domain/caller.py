"""Who asks. Every service method that serves a client takes one."""

from dataclasses import dataclass
from typing import NewType

TenantId = NewType("TenantId", str)

DEFAULT_TENANT = TenantId("default")


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client: it sees and touches its own tenant's jobs alone."""

    tenant: TenantId
    scopes: frozenset[str]


DEFAULT_CALLER = Caller(DEFAULT_TENANT, frozenset({"submit", "read", "cancel"}))
