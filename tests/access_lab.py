"""The HTTP API and its sockets with API keys, and one of each thing that has an id."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import count
from typing import Any

import httpx2

from comfyq.domain.caller import DEFAULT_TENANT, Scope, TenantId
from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.ports.inbox import Message
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.api_lab import ApiLab, output

ALL = frozenset(Scope)
OTHER = TenantId("other")
CONTENT = b"a fox"
FILE = {"name": "a.txt", "content_type": "text/plain", "size_bytes": len(CONTENT)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """Ids of things of the default tenant, and what signs links to two of them."""

    job_id: str
    batch_id: str
    asset_id: str
    upload_id: str
    letter_id: str
    key_id: str
    output_query: str
    upload_query: str

    @property
    def ids(self) -> frozenset[str]:
        own = (self.job_id, self.batch_id, self.asset_id, self.upload_id)
        return frozenset({*own, self.letter_id, self.key_id})


class AccessLab(ApiLab):
    """A server whose clients need a key."""

    def __init__(self) -> None:
        super().__init__(COMFYQ_AUTH="keys")
        self.keys = self.services.api_keys
        self._letters = count(1)

    @property
    def notifier(self) -> MemoryNotifier:
        notifier = self.services.ports.notifier
        assert isinstance(notifier, MemoryNotifier)
        return notifier

    @cached_property
    def sockets(self) -> WebSocketHandler:
        return WebSocketHandler(
            subscriptions=self.services.subscriptions,
            notifier=self.notifier,
            authenticator=self.services.authenticator,
        )

    async def key(
        self,
        scopes: frozenset[Scope] = ALL,
        *,
        tenant: TenantId = DEFAULT_TENANT,
        lives: timedelta | None = None,
    ) -> str:
        """Return the text of a new key."""
        return (await self.keys.create(tenant, "a key", scopes, lives=lives))[1]

    async def expired_key(self) -> str:
        text = await self.key(lives=timedelta(seconds=1))
        await self.keys.caller(text)
        self.clock.advance(2)
        return text

    async def revoked_key(self) -> str:
        """Return a key that was used a moment before it was revoked."""
        key, text = await self.keys.create(DEFAULT_TENANT, "a key", ALL, lives=None)
        await self.keys.caller(text)
        await self.keys.revoke(key.id)
        return text

    def ask(self, method: str, path: str, key: str | None, **request: Any) -> httpx2.Response:
        """Send a request with a key, or without one."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        headers |= request.pop("headers", {})
        return self.client.request(method, path, headers=headers, **request)

    async def things(self) -> Things:
        """Make one of each thing, as its owner does."""
        owner = await self.key()

        def made(path: str, **request: Any) -> Any:
            answer = self.ask("POST", path, owner, **request)
            assert answer.status_code in (201, 202), answer.text
            return answer.json()

        job_id = made("/generate", json={"prompt": "a fox"})["id"]
        await self.succeed(job_id, output())
        self.store(output(), CONTENT)
        offer = made("/assets/uploads", json=FILE)
        self.client.put(offer["url"], content=CONTENT)
        doorbell = Message(f"letter-{next(self._letters)}", f'{{"job_id": "{job_id}"}}')
        await self.services.dead_letters.keep_doorbell(doorbell)
        shown = self.ask("GET", f"/generate/{job_id}", owner).json()["outputs"][0]
        return Things(
            job_id=job_id,
            batch_id=made("/generate/batch", json={"requests": [{"prompt": "a fox"}]})["batch_id"],
            asset_id=made("/assets?filename=b.txt", content=job_id.encode())["id"],
            upload_id=offer["id"],
            letter_id=doorbell.id,
            key_id=made("/keys", json={"name": "another"})["id"],
            output_query=shown["url"].partition("?")[2],
            upload_query=offer["url"].partition("?")[2],
        )
