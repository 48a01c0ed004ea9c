from dataclasses import dataclass, field

from comfyq.domain.caller import DEFAULT_TENANT, Caller, Scope
from comfyq.ports.access.authenticator import Credentials


@dataclass
class FakeAuthenticator:
    """Takes everyone for ``caller``, and keeps what it was asked."""

    caller: Caller
    credentials: list[Credentials] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)

    @property
    def asks(self) -> bool:
        return True

    async def of_client(self, credentials: Credentials) -> Caller:
        self.credentials.append(credentials)
        return self.caller

    async def of_socket(self, credentials: Credentials) -> Caller:
        return await self.of_client(credentials)

    async def of_queue(self, queue: str) -> Caller:
        self.queues.append(queue)
        return self.caller


def with_scopes(*scopes: Scope) -> FakeAuthenticator:
    """An authenticator whose caller has these scopes and no others."""
    return FakeAuthenticator(Caller(DEFAULT_TENANT, frozenset(scopes)))
