"""``/keys`` and ``/ws-ticket``: how clients are let in."""

from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import Depends, Path

from comfyq.domain.api_key import KeyId, KeysNotAccepted
from comfyq.domain.audit import Actor
from comfyq.domain.caller import Caller, Scope
from comfyq.domain.errors import FieldError, InvalidParameters, MissingScope
from comfyq.edges.api.authentication import Administrator, Reader, tenant_for
from comfyq.edges.api.dependencies import require_json, services_of
from comfyq.edges.api.ids import TenantInQuery
from comfyq.edges.api.responses import JSON_BODY, problems
from comfyq.edges.api.router import Router
from comfyq.services.access.api_keys import ApiKeys
from comfyq.services.access.tickets import Tickets
from comfyq.services.limits.connect_limit import ConnectLimit
from comfyq.services.limits.rate_limit import RateLimit
from comfyq.wire.keys import (
    KeyList,
    KeyRequest,
    KeyView,
    NewKeyView,
    TicketRequest,
    TicketView,
)


class KeyServices(Protocol):
    """The services that these routes call."""

    @property
    def api_keys(self) -> ApiKeys: ...

    @property
    def tickets(self) -> Tickets: ...

    @property
    def connect_limit(self) -> ConnectLimit: ...

    @property
    def accepts_keys(self) -> bool: ...

    @property
    def rate_limit(self) -> RateLimit: ...


Services = Annotated[KeyServices, Depends(services_of)]
KeyIdInPath = Annotated[str, Path(max_length=100, pattern=r"^\w+$")]

router = Router[KeyServices](prefix="/keys", tags=["keys"])
ticket_router = Router[KeyServices](prefix="/ws-ticket", tags=["sockets"])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=[Depends(require_json)],
    responses=JSON_BODY | problems(409),
)
async def create(services: Services, caller: Administrator, body: KeyRequest) -> NewKeyView:
    """Make an API key of your tenant, or as an operator of any. Its text is shown this once.

    You give `submit`, `read` and `cancel`, and of the other scopes those that you have yourself; an
    operator gives all. A key that may send so many requests a minute makes none that may send more,
    and one that expires none that outlives it.
    """
    scopes = given_scopes(caller, body)
    requests_per_minute = given_rate(caller, body, most=services.rate_limit.of_client(caller))
    if not services.accepts_keys:
        raise KeysNotAccepted(
            "this server takes tokens of its issuer alone (COMFYQ_AUTH=oidc), so a key would let "
            "nobody in; COMFYQ_AUTH=keys,oidc takes both"
        )
    key, text = await services.api_keys.create(
        tenant_for(caller, body.tenant),
        body.name,
        scopes,
        lives=body.lives,
        not_after=None if caller.key is None else caller.until,
        requests_per_minute=requests_per_minute,
        by=Actor.of(caller),
    )
    return NewKeyView.made(key, text)


@router.get("")
async def listing(
    services: Services, caller: Administrator, tenant: TenantInQuery = None
) -> KeyList:
    """The API keys of your tenant, or for an operator of any; expired ones for 30 days."""
    keys = await services.api_keys.all(tenant_for(caller, tenant))
    return KeyList(keys=[KeyView.of(key) for key in keys])


@router.delete("/{key_id}", responses=problems(404))
async def revoke(services: Services, caller: Administrator, key_id: KeyIdInPath) -> KeyView:
    """Revoke an API key of your tenant, or as an operator of any: it lets nobody in any more, and
    sockets that were opened with it end."""
    tenant = None if caller.is_operator else caller.tenant
    key = await services.api_keys.revoke(KeyId(key_id), tenant=tenant, by=Actor.of(caller))
    return KeyView.of(key)


@ticket_router.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=[Depends(require_json)],
    responses=JSON_BODY | problems(429),
)
async def issue(services: Services, caller: Reader, body: TicketRequest) -> TicketView:
    """Make a ticket that opens one socket or stream within a minute, for browsers, which cannot
    send a key with a handshake or by `EventSource`."""
    services.connect_limit.take_ticket(caller)
    ticket = await services.tickets.issue(caller, only_job=body.job_id)
    return TicketView(ticket=ticket.text, expires_at=ticket.expires_at)


def given_scopes(caller: Caller, body: KeyRequest) -> frozenset[Scope]:
    """Return the scopes of the key that an administrator asks for, by default those of the usual
    ones that it may give; raises MissingScope if it may not give one that it names."""
    if not body.names_scopes:
        return frozenset(body.scopes) & caller.may_give
    asked = frozenset(body.scopes)
    if beyond := sorted(asked - caller.may_give):
        named, may = ", ".join(f"`{scope}`" for scope in beyond), ", ".join(sorted(caller.may_give))
        raise MissingScope(
            f"you cannot give {named}, which you do not have yourself; a key that you make may "
            f"have: {may}"
        )
    return asked


def given_rate(caller: Caller, body: KeyRequest, *, most: int | None) -> int | None:
    """Return the rate of the key that an administrator asks for, by default that of its own key.

    Raises:
        InvalidParameters: it asks for more than the ``most`` requests a minute that it may send,
            by a rate of its key's own or by the setting for all keys.
    """
    asked = body.requests_per_minute
    if caller.is_operator:
        return asked
    if most is not None and asked is not None and asked > most:
        message = (
            f"is {asked}; your own key may send {most} a minute, and makes none that sends more"
        )
        raise InvalidParameters([FieldError("requests_per_minute", message)])
    return caller.requests_per_minute if asked is None else asked
