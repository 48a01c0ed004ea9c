"""The services of access: who may do what."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property

from comfyq.adapters.authentication.api_keys import KeyAuthenticator
from comfyq.adapters.authentication.local_owner import LocalOwner
from comfyq.bootstrap.backends import open_ports
from comfyq.bootstrap.records import Records
from comfyq.config import Settings
from comfyq.domain.caller import TenantId
from comfyq.ports.authenticator import Authenticator
from comfyq.records.api_keys import ApiKeyRecords
from comfyq.records.tickets import TicketRecords
from comfyq.services.access.api_keys import ApiKeys
from comfyq.services.access.open_sockets import OpenSockets
from comfyq.services.access.tickets import Tickets


class AccessServices(Records):
    """The services of access, over one set of ports."""

    @cached_property
    def open_sockets(self) -> OpenSockets:
        return OpenSockets(
            subscriptions=self.followers, notifier=self.ports.notifier, clock=self.ports.clock
        )

    @cached_property
    def api_keys(self) -> ApiKeys:
        return ApiKeys(
            records=ApiKeyRecords(self.ports.table),
            sockets=self.open_sockets,
            clock=self.ports.clock,
            draw=secrets.token_hex,
        )

    @cached_property
    def tickets(self) -> Tickets:
        return Tickets(
            records=TicketRecords(self.ports.table),
            clock=self.ports.clock,
            draw=secrets.token_hex,
        )

    @cached_property
    def authenticator(self) -> Authenticator:
        tenant = TenantId(self.settings.tenants.submissions_tenant)
        if self.settings.api.is_open:
            return LocalOwner(submissions_tenant=tenant)
        return KeyAuthenticator(keys=self.api_keys, tickets=self.tickets, submissions_tenant=tenant)


@asynccontextmanager
async def opened_keys(settings: Settings) -> AsyncIterator[ApiKeys]:
    """Yield the API keys of a deployment, by its table alone.

    Raises:
        MissingSetting, TableUnavailable.
    """
    ports = open_ports(settings)
    try:
        yield AccessServices(settings, ports).api_keys
    finally:
        ports.close()
