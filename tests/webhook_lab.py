"""Jobs that a test moves by hand, the production sender, and a receiver that the test scripts."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from comfyq.adapters.authentication.local_owner import OWNER
from comfyq.bootstrap.ports import Ports
from comfyq.bootstrap.services import Services
from comfyq.config import read_settings
from comfyq.domain import job as jobs
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.job import Job, JobId
from comfyq.domain.submission.spec import Spec
from comfyq.domain.webhook.default import DefaultWebhook
from comfyq.domain.webhook.events import ENDS, WebhookEvent
from comfyq.domain.webhook.target import WebhookTarget
from comfyq.domain.webhook_delivery import WebhookDelivery
from comfyq.ports.table import Item, Key, Page, Write
from comfyq.ports.webhooks import WebhookAnswer
from comfyq.testing.memory.assets import MemoryAssets
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.notifier import MemoryNotifier
from comfyq.testing.memory.queue import MemoryQueue
from comfyq.testing.memory.table import MemoryTable
from tests.api_lab import ApiLab, JobMoves

URL = "https://receiver.example/hook?token=hidden"
PUBLIC_URL = "https://comfyq.example"


class Killed(BaseException):
    """The process ends here; no handler of errors sees it."""


class Death:
    """Strikes once, at the step of a process that a test says: each call has one before it and one
    after it."""

    def __init__(self) -> None:
        self.at: int | None = None  # None: never
        self._steps = 0

    def step(self) -> None:
        if self.at is None:
            return
        self._steps += 1
        if self._steps == self.at:
            self.at = None
            raise Killed


class MortalTable(MemoryTable):
    """A table whose process may die before and after each call."""

    def __init__(self, death: Death, *, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self._death = death

    async def get(self, key: Key) -> Item | None:
        self._death.step()
        item = await super().get(key)
        self._death.step()
        return item

    async def query(self, index: str, partition: str, **page: Any) -> Page:
        self._death.step()
        found = await super().query(index, partition, **page)
        self._death.step()
        return found

    async def write(self, *writes: Write, synced: bool = True) -> None:
        self._death.step()
        await super().write(*writes, synced=synced)
        self._death.step()


@dataclass(frozen=True, slots=True)
class Posted:
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class ScriptedReceiver:
    """Answers as the script says, and then 204 for ever."""

    def __init__(self, death: Death, script: Sequence[int | WebhookAnswer | Exception]) -> None:
        self.posts: list[Posted] = []
        self.script = list(script)
        self._death = death

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, tenant: TenantId
    ) -> WebhookAnswer:
        self._death.step()
        self.posts.append(Posted(url, dict(headers), body))
        self._death.step()
        answer = self.script.pop(0) if self.script else 204
        if isinstance(answer, Exception):
            raise answer
        return WebhookAnswer(answer) if isinstance(answer, int) else answer


class WebhookLab(JobMoves):
    def __init__(self, *script: int | WebhookAnswer | Exception, **settings: Any) -> None:
        self.clock = ManualClock()
        self.death = Death()
        self.table = MortalTable(self.death, clock=self.clock)
        ports = Ports(
            table=self.table,
            queue=MemoryQueue(clock=self.clock),
            assets=MemoryAssets(),
            clock=self.clock,
            notifier=MemoryNotifier(),
            close=lambda: None,
        )
        defaults: dict[str, Any] = {
            "COMFYQ_AUTH": "none",
            "COMFYQ_DATA_DIR": Path(tempfile.gettempdir()) / "comfyq-webhook-lab",
            "COMFYQ_LINK_SECRET": "secret" * 8,
            "PUBLIC_URL": PUBLIC_URL,
        }
        self.services = Services(read_settings({}, **(defaults | settings)), ports)
        self.receiver = ScriptedReceiver(self.death, script)
        self.services.webhook_post = self.receiver
        self.records = self.services.records
        self._numbers = count(1)
        self.began = self.clock.now()
        self.owner = OWNER

    async def job(
        self,
        *events: WebhookEvent,
        url: str | None = URL,
        base_url: str = "",
        tenant: TenantId = DEFAULT_TENANT,
    ) -> Job:
        """Store a new job; without ``events``, its ends are told."""
        job = jobs.submitted(
            id=JobId(f"00000000-0000-4000-8000-{next(self._numbers):012}"),
            tenant=tenant,
            workflow="flux-dev",
            created_at=self.clock.now(),
            webhook_events=events or ENDS,
        )
        spec = Spec(graph={}, parameters={}, webhook=WebhookTarget(url, base_url))
        return await self.records.create(job, spec)

    async def ended(self, *, url: str | None = URL, tenant: TenantId = DEFAULT_TENANT) -> Job:
        """Store a job that has succeeded."""
        return await self.succeed((await self.job(url=url, tenant=tenant)).id)

    async def send(self) -> None:
        """Send what is due now."""
        await self.services.due_webhooks.send_round()

    async def send_all(self) -> None:
        """Send until nothing is to be sent any more, however long it takes."""
        await self.send()
        while (due := (await self.services.due_webhooks.look()).next_at) is not None:
            self.clock.set(max(due, self.clock.now()))
            await self.send()

    async def deliveries(self, job: Job) -> Sequence[WebhookDelivery]:
        return await self.services.webhook_delivery_records.of_job(job.id)

    async def delivery(self, job: Job) -> WebhookDelivery:
        [delivery] = await self.deliveries(job)
        return delivery

    async def cancel(self, job: Job) -> Job:
        return await self.change(job.id, jobs.request_cancel)

    async def succeed_running(self, job_id: str) -> Job:
        job = await self.records.get(JobId(job_id))
        return await self.change(job_id, partial(jobs.succeed, token=job.attempt))


class WebhookApiLab(ApiLab):
    """The HTTP API, whose webhooks a scripted receiver gets."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.receiver = ScriptedReceiver(Death(), ())
        self.services.webhook_post = self.receiver
        for made in ("webhook_courier", "webhook_sender", "due_webhooks"):  # over the real one
            vars(self.services).pop(made, None)

    async def told(self) -> list[tuple[str, str, str]]:
        """Send what is due, and return where it went, what it was and of which job."""
        await self.services.due_webhooks.send_round()
        bodies = [(each.url, json.loads(each.body)) for each in self.receiver.posts]
        self.receiver.posts.clear()
        return sorted((url, body["type"], body["data"]["id"]) for url, body in bodies)

    async def events(self, job_id: str) -> list[str]:
        job = await self.records.get(JobId(job_id))
        return list(map(str, job.webhook_events))

    async def set_default(self, webhook: DefaultWebhook | None) -> None:
        await self.services.tenant_records.change(
            DEFAULT_TENANT, lambda tenant: replace(tenant, webhook=webhook)
        )
