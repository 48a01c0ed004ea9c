"""The services of access: who may do what."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING

from comfyq.adapters.authentication.bearer import BearerAuthenticator
from comfyq.adapters.authentication.local_owner import LocalOwner
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.ports import MissingSetting
from comfyq.bootstrap.records import Records
from comfyq.config import OidcSettings, Settings
from comfyq.domain.caller import TenantId
from comfyq.ports.access.authenticator import Authenticator
from comfyq.ports.clock import Clock
from comfyq.records.access.audit import AuditRecords
from comfyq.records.access.tickets import TicketRecords
from comfyq.records.api_keys import ApiKeyRecords
from comfyq.services.access.api_keys import ApiKeys
from comfyq.services.access.audit import Audit
from comfyq.services.access.open_sockets import OpenSockets
from comfyq.services.access.tickets import Tickets
from comfyq.services.limits.connect_limit import ConnectLimit
from comfyq.services.operations.tenants import Tenants

if TYPE_CHECKING:
    from comfyq.adapters.oidc.tokens import OidcTokens


class AccessServices(Records):
    """The services of access, over one set of ports."""

    @cached_property
    def open_sockets(self) -> OpenSockets:
        return OpenSockets(
            subscriptions=self.followers, notifier=self.ports.notifier, clock=self.ports.clock
        )

    @cached_property
    def audit(self) -> Audit:
        records = AuditRecords(self.ports.table, new_id=lambda: secrets.token_hex(8))
        return Audit(records=records, clock=self.ports.clock)

    @cached_property
    def api_keys(self) -> ApiKeys:
        return ApiKeys(
            records=ApiKeyRecords(self.ports.table),
            sockets=self.open_sockets,
            audit=self.audit,
            clock=self.ports.clock,
            draw=secrets.token_hex,
        )

    @property
    def accepts_keys(self) -> bool:
        """Return whether a new API key is of use: not where tokens alone let clients in."""
        return self.settings.api.takes_keys or not self.settings.api.takes_tokens

    @cached_property
    def tickets(self) -> Tickets:
        return Tickets(
            records=TicketRecords(self.ports.table),
            clock=self.ports.clock,
            draw=secrets.token_hex,
        )

    @cached_property
    def connect_limit(self) -> ConnectLimit:
        return ConnectLimit()

    @cached_property
    def authenticator(self) -> Authenticator:
        tenant = TenantId(self.settings.tenants.submissions_tenant)
        if self.settings.api.is_open:
            return LocalOwner(submissions_tenant=tenant)
        tokens = None
        if self.settings.api.takes_tokens:
            tokens = tokens_of(self.settings.oidc, clock=self.ports.clock)
        return BearerAuthenticator(
            keys=self.api_keys if self.settings.api.takes_keys else None,
            tokens=tokens,
            tickets=self.tickets,
            submissions_tenant=tenant,
        )


def tokens_of(settings: OidcSettings, *, clock: Clock) -> "OidcTokens":
    """Return what checks the tokens of the issuer that is set; raises MissingSetting."""
    if settings.missing is not None:
        raise MissingSetting(f"sign-in by tokens (COMFYQ_AUTH) needs {settings.missing}: set it")
    try:  # an extra, and some 100 ms of a cold start: for those alone who use it
        from comfyq.adapters.oidc.documents import fetched_keys
        from comfyq.adapters.oidc.issuer_keys import IssuerKeys
        from comfyq.adapters.oidc.tokens import OidcTokens
    except ModuleNotFoundError as missing:
        raise MissingSetting(
            f"sign-in by tokens needs the package {missing.name}, which is not installed: "
            "install comfyq with its extra `oidc`"
        ) from missing
    return OidcTokens(
        keys=IssuerKeys(fetch=partial(fetched_keys, settings.issuer), clock=clock),
        issuer=settings.issuer,
        audiences=frozenset(settings.audiences),
        algorithms=settings.allowed_algorithms,
        rules=settings.rules,
        clock=clock,
    )


def tenants_of(services: AccessServices) -> Tenants:
    return Tenants(
        records=services.tenant_records,
        known=services.known_tenants,
        retention=services.retention,
        audit=services.audit,
        clock=services.ports.clock,
        on_due=services.deadlines.note,
    )


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[ApiKeys]:
    """Yield the API keys of a deployment; see ``opened_access``."""
    async with opened_access(settings) as services:
        yield services.api_keys


@asynccontextmanager
async def opened_access(settings: Settings) -> AsyncIterator[AccessServices]:
    """Yield the services of access of a deployment, by its table alone.

    Raises:
        MissingSetting, TableUnavailable.
    """
    ports = open_ports(settings)
    try:
        yield AccessServices(settings, ports)
    finally:
        ports.close()
