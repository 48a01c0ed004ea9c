from comfyq.domain.caller import SUBMITTING, Caller, TenantId
from comfyq.domain.errors import Unauthenticated
from comfyq.ports.authenticator import Credentials
from comfyq.services.access.api_keys import ApiKeys
from comfyq.services.access.tickets import Tickets

BEARER = "bearer "
TICKET = "ticket"  # parameter of a socket's URL
MISSING = "send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`"


class KeyAuthenticator:
    """Identifies clients by their API keys and, at a socket, by their tickets.

    Jobs that come through a queue are those of ``submissions_tenant``: the queue's own access
    rules say who may send to it.
    """

    def __init__(self, *, keys: ApiKeys, tickets: Tickets, submissions_tenant: TenantId) -> None:
        self._keys = keys
        self._tickets = tickets
        self._submitter = Caller(submissions_tenant, SUBMITTING)

    @property
    def asks(self) -> bool:
        return True

    async def of_client(self, credentials: Credentials) -> Caller:
        key = _key_in(credentials)
        if key is None:
            raise Unauthenticated(MISSING, given=False)
        return await self._keys.caller(key)

    async def of_socket(self, credentials: Credentials) -> Caller:
        key, ticket = _key_in(credentials), credentials.query.get(TICKET)
        if key is not None:
            return await self._keys.caller(key)
        if ticket is None:
            raise Unauthenticated(f"{MISSING}, or add ?ticket= of POST /ws-ticket", given=False)
        return await self._tickets.redeem(ticket)

    async def of_queue(self, queue: str) -> Caller:
        return self._submitter


def _key_in(credentials: Credentials) -> str | None:
    """Return the key that was sent; other kinds of Authorization may be a proxy's."""
    authorization = credentials.headers.get("authorization", "")
    if authorization[: len(BEARER)].lower() == BEARER:
        return authorization[len(BEARER) :].strip()
    return credentials.headers.get("x-api-key")
