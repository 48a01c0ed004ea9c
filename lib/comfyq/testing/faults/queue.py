from collections.abc import Sequence
from dataclasses import dataclass

from anyio.lowlevel import checkpoint

from comfyq.domain.caller import TenantId
from comfyq.domain.errors import QueueUnavailable
from comfyq.domain.job import JobId
from comfyq.ports.queue import Delivery, JobQueue
from comfyq.testing.faults.rules import Faults, Rule


@dataclass(frozen=True, slots=True)
class FaultyDelivery:
    delivery: Delivery
    faults: Faults

    @property
    def job_id(self) -> JobId:
        return self.delivery.job_id

    async def ack(self) -> None:
        await self.faults.around("ack", lambda: self.job_id, self.delivery.ack)

    async def hide(self, seconds: float) -> None:
        await self.faults.around("hide", lambda: self.job_id, lambda: self.delivery.hide(seconds))


class FaultyQueue:
    def __init__(self, queue: JobQueue, rules: Sequence[Rule]) -> None:
        self._queue = queue
        self._faults = Faults(rules, port="queue", error=QueueUnavailable)

    async def send(self, job_id: JobId, *, tenant: TenantId, delay_s: float = 0) -> None:
        await self._faults.around(
            "send",
            lambda: job_id,
            lambda: self._queue.send(job_id, tenant=tenant, delay_s=delay_s),
        )

    async def send_many(self, job_ids: Sequence[JobId], *, tenant: TenantId) -> None:
        for job_id in job_ids:
            await self.send(job_id, tenant=tenant)

    async def receive(self, *, wait_s: float) -> Delivery | None:
        delivery = await self._faults.ask(
            "receive", str, lambda: self._queue.receive(wait_s=wait_s)
        )
        if delivery is None:
            return None
        await self._faults.around("take", lambda: delivery.job_id, checkpoint)
        return FaultyDelivery(delivery, self._faults)

    async def count(self) -> int:
        return await self._faults.ask("count", str, self._queue.count)
