from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId
from comfyq.ports.queue import Delivery, JobQueue
from comfyq.testing.memory.clock import ManualClock

VISIBILITY_S = 2
MAX_RECEIVES = 3
ALICE, BOB = TenantId("alice"), TenantId("bob")


@dataclass
class Bench:
    """A queue, and the clock that its visibility follows; None: the real one."""

    queue: JobQueue
    clock: ManualClock | None = None
    raw: tuple[Any, str] | None = None  # SQS's client and the queue's URL
    is_moto: bool = False

    def pass_time(self, seconds: float) -> None:
        """Let time pass; where it is the real one, the next ``arrival`` waits for it."""
        if self.clock is not None:
            self.clock.advance(seconds)

    async def ring(self, *, tenant: TenantId = ALICE, delay_s: float = 0) -> JobId:
        job_id = JobId(str(uuid4()))
        await self.queue.send(job_id, tenant=tenant, delay_s=delay_s)
        return job_id

    async def arrival(self) -> Delivery:
        delivery = await self.queue.receive(wait_s=10)
        assert delivery is not None
        return delivery

    async def silence(self) -> bool:
        return await self.queue.receive(wait_s=0) is None
