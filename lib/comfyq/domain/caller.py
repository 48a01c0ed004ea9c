"""The caller of a service: every method that serves a client takes one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from comfyq.domain.errors import MissingScope

TenantId = NewType("TenantId", str)

DEFAULT_TENANT = TenantId("default")


class Scope(StrEnum):
    """A right of a caller; each route and frame declares the scope that it needs."""

    SUBMIT = "submit"  # make jobs, and store the files that they take
    READ = "read"  # see and follow jobs, files and workflows
    CANCEL = "cancel"  # end jobs early
    ADMIN = "admin"  # see and mend what the system itself does


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client: it sees and touches its own tenant's jobs alone."""

    tenant: TenantId
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Raise MissingScope unless the caller has ``scope``."""
        if scope not in self.scopes:
            has = ", ".join(sorted(self.scopes)) or "none"
            raise MissingScope(f"this needs the scope `{scope}`; the caller's scopes are: {has}")
