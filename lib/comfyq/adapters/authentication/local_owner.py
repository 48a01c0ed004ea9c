from comfyq.domain.caller import DEFAULT_TENANT, SUBMITTING, Caller, Scope, TenantId
from comfyq.ports.access.authenticator import Credentials

OWNER = Caller(DEFAULT_TENANT, frozenset(Scope))


class LocalOwner:
    """Takes every client for the owner of this installation, who may do everything.

    Jobs that come through a queue are those of ``submissions_tenant``.
    """

    def __init__(self, *, submissions_tenant: TenantId = DEFAULT_TENANT) -> None:
        self._submitter = Caller(submissions_tenant, SUBMITTING)

    @property
    def asks(self) -> bool:
        return False

    async def of_client(self, credentials: Credentials) -> Caller:
        return OWNER

    async def of_socket(self, credentials: Credentials) -> Caller:
        return OWNER

    async def of_queue(self, queue: str) -> Caller:
        return self._submitter
