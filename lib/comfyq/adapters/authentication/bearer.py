from typing import Protocol

from comfyq.domain.api_key import has_key_prefix
from comfyq.domain.caller import SUBMITTING, Caller, TenantId
from comfyq.domain.errors import Unauthenticated
from comfyq.ports.access.authenticator import Credentials
from comfyq.services.access.tickets import Tickets

BEARER = "bearer "
TICKET = "ticket"  # parameter of a socket's or stream's URL
SEND_KEY = "send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
SEND_ISSUED = "send a token as `Authorization: Bearer TOKEN`"


class Check(Protocol):
    """Tells whom one kind of credentials stands for."""

    async def caller(self, text: str) -> Caller:
        """Raise Unauthenticated for one that lets nobody in."""
        ...


class BearerAuthenticator:
    """Identifies clients by API keys or an issuer's tokens and, at a socket or stream, by their
    tickets.

    Jobs that come through a queue are those of ``submissions_tenant``: the queue's own access
    rules say who may send to it.
    """

    def __init__(
        self,
        *,
        keys: Check | None,
        tokens: Check | None,
        tickets: Tickets,
        submissions_tenant: TenantId,
    ) -> None:
        """``keys`` or ``tokens`` may be missing: what is sent of that kind lets nobody in."""
        self._keys = keys
        self._tokens = tokens
        self._tickets = tickets
        self._submitter = Caller(submissions_tenant, SUBMITTING)
        sentences = {SEND_KEY: keys, SEND_ISSUED: tokens}
        self._missing = ", or ".join(text for text, check in sentences.items() if check is not None)

    @property
    def asks(self) -> bool:
        return True

    async def of_client(self, credentials: Credentials) -> Caller:
        caller = await self._caller(credentials)
        if caller is None:
            raise Unauthenticated(self._missing, given=False)
        return caller

    async def of_socket(self, credentials: Credentials) -> Caller:
        caller, ticket = await self._caller(credentials), credentials.query.get(TICKET)
        if caller is not None:
            return caller
        if ticket is None:
            hint = f"{self._missing}, or add ?ticket= of POST /ws-ticket"
            raise Unauthenticated(hint, given=False)
        return await self._tickets.redeem(ticket)

    async def of_queue(self, queue: str) -> Caller:
        return self._submitter

    async def _caller(self, credentials: Credentials) -> Caller | None:
        """Return whom a request's header stands for; None: it has none, or only a proxy's."""
        authorization = credentials.headers.get("authorization", "")
        if authorization[: len(BEARER)].lower() == BEARER:
            text = authorization[len(BEARER) :].strip()
            return await self._check_of(text).caller(text)
        key = credentials.headers.get("x-api-key")
        return None if key is None or self._keys is None else await self._keys.caller(key)

    def _check_of(self, text: str) -> Check:
        """Return the check of a bearer's kind; if there is only one check, that one."""
        check = self._keys if has_key_prefix(text) else self._tokens
        only = check or self._keys or self._tokens
        assert only is not None, "an authenticator has a check"
        return only
