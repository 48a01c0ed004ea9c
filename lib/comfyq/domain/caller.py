"""The caller of a service: every method that serves a client takes one."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from comfyq.domain.errors import MissingScope

TenantId = NewType("TenantId", str)

DEFAULT_TENANT = TenantId("default")
TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # no "#": it parts the keys of items
MAX_TENANT_CHARS = 64


def tenant_id(text: str) -> TenantId:
    """Return ``text`` as the id of a tenant; raises ValueError if it cannot be one."""
    if len(text) > MAX_TENANT_CHARS or not re.fullmatch(TENANT_PATTERN, text):
        raise ValueError(
            f"{text[:70]!r} is no tenant: use up to {MAX_TENANT_CHARS} letters, digits, dots, "
            "hyphens and underscores, and begin with a letter or digit"
        )
    return TenantId(text)


def yours(kind: str) -> str:
    """Return what a refusal calls the ``key``, ``subject`` or ``tenant`` that a limit is of."""
    return "the subject of your token" if kind == "subject" else f"your {kind}"


class Scope(StrEnum):
    """A right of a caller; each route and frame declares the scope that it needs."""

    SUBMIT = "submit"  # make jobs, and store the files that they take
    GRAPH = "graph"  # make them of graphs of its own, beside workflows
    WAIT = "wait"  # make jobs that no worker is able to run yet
    READ = "read"  # see and follow jobs, files and workflows
    CANCEL = "cancel"  # end jobs early, and delete them with their files
    METRICS = "metrics"  # read the numbers of the whole deployment, as Prometheus does
    ADMIN = "admin"  # say who may use its tenant, what becomes of its data, and who is told of it
    OPERATOR = "operator"  # see and mend the deployment, and administer every tenant


SUBMITTING = frozenset({Scope.SUBMIT, Scope.GRAPH, Scope.WAIT})  # every kind of job
GIVEN_FREELY = frozenset({Scope.SUBMIT, Scope.READ, Scope.CANCEL})  # by every administrator


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client: it sees and touches its own tenant's jobs alone."""

    tenant: TenantId
    scopes: frozenset[Scope]
    key: str | None = None  # id of the API key that it showed
    subject: str | None = None  # of the token that it showed: the issuer's name of it
    until: datetime | None = None  # when that key or token expires
    requests_per_minute: int | None = None  # with that key; None: as many as with any other
    only_job: str | None = None  # the one job that it may follow; None: every one of its tenant
    address: str | None = None  # that it asks from, as the server sees it

    @property
    def who(self) -> str:
        """Return who it is, for the audit log."""
        if self.key is not None:
            return f"key {self.key}"
        return "owner" if self.subject is None else f"subject {self.subject}"

    @property
    def may_show(self) -> bool:
        """Return whether it may have others told what its jobs have made: if it may read that
        itself, or sends by a queue, whose senders nobody but the deployment chooses."""
        is_client = self.key is not None or self.subject is not None
        return Scope.READ in self.scopes or not is_client

    @property
    def is_operator(self) -> bool:
        return Scope.OPERATOR in self.scopes

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    @property
    def may_give(self) -> frozenset[Scope]:
        """Return the scopes that keys may have which it makes as an administrator: those in every
        administrator's gift, and its own; an operator's may have all."""
        return frozenset(Scope) if self.is_operator else GIVEN_FREELY | self.scopes

    def require(self, scope: Scope) -> None:
        """Raise MissingScope unless the caller has ``scope``."""
        if scope not in self.scopes:
            has = ", ".join(sorted(self.scopes)) or "none"
            raise MissingScope(f"this needs the scope `{scope}`; the caller's scopes are: {has}")
