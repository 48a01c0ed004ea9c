"""The HTTP API and its sockets with sign-in, and one of each thing that has an id."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import count
from typing import Any

import httpx2

from comfyq.bootstrap.services import Services
from comfyq.config import Facade
from comfyq.domain.caller import DEFAULT_TENANT, Scope, TenantId
from comfyq.domain.files.upload import UploadId
from comfyq.domain.job import JobId
from comfyq.edges.api.links import UPLOADS
from comfyq.edges.websocket.handler import WebSocketHandler
from comfyq.ports.inbox import Message
from comfyq.services.access.api_keys import ApiKeys
from comfyq.testing.memory.notifier import MemoryNotifier
from tests.api_lab import ApiLab, JobMoves, output
from tests.issuer import TENANT_CLAIM, Issuer
from tests.socket_events import Handler

FACADES = ",".join(Facade)
ALL = frozenset(Scope) - {Scope.OPERATOR}  # that a tenant's own clients may have
OTHER = TenantId("other")
CONTENT = b"a fox"
BODY = {"content": CONTENT}
FOX = {"prompt": "a fox", "seed": 7}
NAMED = {**FOX, "workflow": "sd15"}  # whose results there are
FILE = {"name": "a.txt", "content_type": "text/plain", "size_bytes": len(CONTENT)}
RECEIVER = "https://receiver.invalid/"  # a name that never has an address


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """Ids of things of the default tenant, and what signs links to two of them."""

    job_id: str
    batch_id: str
    asset_id: str
    upload_id: str
    letter_id: str
    key_id: str
    tenant_id: str
    output_query: str
    upload_query: str

    @property
    def ids(self) -> frozenset[str]:
        own = (self.job_id, self.batch_id, self.asset_id, self.upload_id)
        return frozenset({*own, self.letter_id, self.key_id})


class KeyedServer(JobMoves, ABC):
    """A server whose clients need a key or a token; whoever has it has its services too."""

    services: Services
    issuer: Issuer | None = None  # of tokens, if they let in

    def __init__(self) -> None:
        self._letters = count(1)

    @property
    @abstractmethod
    def sockets(self) -> Handler:
        """Return what takes the events of its sockets."""

    @property
    @abstractmethod
    def notifier(self) -> MemoryNotifier:
        """Return what has the frames that were posted to them."""

    @property
    def keys(self) -> ApiKeys:
        return self.services.api_keys

    @abstractmethod
    def ask(self, method: str, path: str, key: str | None, **request: Any) -> httpx2.Response:
        """Send a request with a key, or without one."""

    @abstractmethod
    async def store_output(self) -> None:
        """Store the file of ``output()``."""

    async def key(
        self,
        scopes: frozenset[Scope] = ALL,
        *,
        tenant: TenantId = DEFAULT_TENANT,
        lives: timedelta | None = None,
    ) -> str:
        """Return the text of a new key."""
        return (await self.keys.create(tenant, "a key", scopes, lives=lives))[1]

    def token(
        self,
        scopes: frozenset[Scope] = ALL,
        *,
        tenant: TenantId | None = DEFAULT_TENANT,
        **how: Any,
    ) -> str:
        """Return a new token of the issuer; ``how`` changes it."""
        assert self.issuer is not None, "tokens let in"
        claims = {TENANT_CLAIM: tenant, "scope": " ".join(scopes)}
        return self.issuer.token(now=self.services.ports.clock.now(), **(claims | how))

    async def expired_key(self) -> str:
        return await self.key(lives=timedelta(seconds=-1))

    async def revoked_key(self) -> str:
        """Return a key that was used a moment before it was revoked."""
        key, text = await self.keys.create(DEFAULT_TENANT, "a key", ALL, lives=None)
        await self.keys.caller(text)
        await self.keys.revoke(key.id)
        return text

    async def undo(self, place: str) -> None:
        """Take back what a request has begun that would have later ones refused."""
        if place == "DELETE /tenants/{tenant_id}/data":
            await self.services.tenant_records.change(
                DEFAULT_TENANT, lambda tenant: replace(tenant, deletion=None)
            )

    async def things(self) -> Things:
        """Make one of each thing, as its owner does."""
        owner = await self.key()

        def made(path: str, **request: Any) -> Any:
            answer = self.ask("POST", path, owner, **request)
            assert answer.status_code in (201, 202), answer.text
            return answer.json()

        told = {**NAMED, "webhook_url": RECEIVER, "webhook_events": ["queued"]}
        job_id = made("/generate", json=told)["id"]
        await self.store_output()
        job, reuse = await self.succeed(job_id, output()), self.services.reuse
        await reuse.note(job, reuse.keyed(await self.records.spec(job.id)))
        offer = made("/assets/uploads", json=FILE)
        links = await self.services.links()
        upload_query = links.upload_query(UploadId(offer["id"]))
        sent = self.ask("PUT", f"{UPLOADS}/{offer['id']}/content?{upload_query}", None, **BODY)
        assert sent.status_code == 204, sent.text
        doorbell = Message(f"letter-{next(self._letters)}", f'{{"job_id": "{job_id}"}}')
        await self.services.dead_letters.keep_doorbell(doorbell)
        return Things(
            job_id=job_id,
            batch_id=made("/generate/batch", json={"requests": [{"prompt": "a fox"}]})["batch_id"],
            asset_id=made("/assets?filename=b.txt", content=job_id.encode())["id"],
            upload_id=offer["id"],
            letter_id=doorbell.id,
            key_id=made("/keys", json={"name": "another"})["id"],
            tenant_id=DEFAULT_TENANT,
            output_query=links.query(JobId(job_id), 0),
            upload_query=upload_query,
        )


class AccessLab(KeyedServer, ApiLab):
    """A server in memory; with an issuer, its tokens let in as well as keys."""

    def __init__(self, issuer: Issuer | None = None, **settings: Any) -> None:
        KeyedServer.__init__(self)
        self.issuer = issuer
        if issuer is not None:
            settings = {"COMFYQ_AUTH": "keys,oidc", **issuer.settings, **settings}
        own = {"COMFYQ_AUTH": "keys", "COMFYQ_FACADES": FACADES}
        ApiLab.__init__(self, **(own | settings))

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
            connects=self.services.connect_limit,
        )

    def ask(self, method: str, path: str, key: str | None, **request: Any) -> httpx2.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        headers |= request.pop("headers", {})
        return self.client.request(method, path, headers=headers, **request)

    async def store_output(self) -> None:
        self.store(output(), CONTENT)
