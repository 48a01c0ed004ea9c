import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from anyio.lowlevel import checkpoint

from comfyq.domain.caller import TenantId
from comfyq.domain.job import JobId
from comfyq.ports.clock import Clock
from comfyq.ports.inbox import Message
from comfyq.ports.queue import MAX_DELAY_S, MAX_HIDE_S, MAX_WAIT_S, TAKEN_S, check_seconds
from comfyq.testing.memory.inbox import MemoryInbox

POLL_S = 0.002


@dataclass(slots=True, eq=False)  # a duplicate is another message
class SentDoorbell:
    job_id: JobId
    tenant: TenantId
    visible_at_s: float  # epoch
    receives: int = 0


@dataclass(frozen=True, slots=True)
class MemoryDelivery:
    message: SentDoorbell
    receives: int  # when it was delivered; a later receive makes this one lapse
    queue: "MemoryQueue"

    @property
    def job_id(self) -> JobId:
        return self.message.job_id

    async def ack(self) -> None:
        await checkpoint()
        if self.receives == self.message.receives and self.message in self.queue.messages:
            self.queue.messages.remove(self.message)

    async def hide(self, seconds: float) -> None:
        check_seconds(seconds, most=MAX_HIDE_S)
        await checkpoint()
        if self.receives == self.message.receives:
            self.message.visible_at_s = self.queue.now_s() + seconds


class MemoryQueue:
    """A queue whose visibility follows the given clock, and whose next sends can go wrong.

    That many of the next sends are lost (``drop``) or sent twice (``duplicate``); ``faults`` are
    raised by the next sends, one at a time, before anything is sent.
    """

    def __init__(
        self, *, clock: Clock, visibility_s: float = TAKEN_S, max_receives: int = 10
    ) -> None:
        self.drop = 0
        self.duplicate = 0
        self.faults: list[Exception] = []
        self.messages: list[SentDoorbell] = []
        self.dead = MemoryInbox(clock=clock)
        self._clock = clock
        self._visibility_s = visibility_s
        self._max_receives = max_receives

    def now_s(self) -> float:
        return self._clock.now().timestamp()

    async def send(self, job_id: JobId, *, tenant: TenantId, delay_s: float = 0) -> None:
        check_seconds(delay_s, most=MAX_DELAY_S)
        await checkpoint()
        if self.faults:
            raise self.faults.pop(0)
        for _ in range(self._copies()):
            self.messages.append(SentDoorbell(job_id, tenant, self.now_s() + delay_s))

    async def send_many(self, job_ids: Sequence[JobId], *, tenant: TenantId) -> None:
        for job_id in job_ids:
            await self.send(job_id, tenant=tenant)

    async def receive(self, *, wait_s: float) -> MemoryDelivery | None:
        check_seconds(wait_s, most=MAX_WAIT_S)
        deadline = time.monotonic() + wait_s
        await checkpoint()
        while (message := self._next()) is None:
            if time.monotonic() >= deadline:
                return None
            await anyio.sleep(POLL_S)
        message.receives += 1
        message.visible_at_s = self.now_s() + self._visibility_s
        return MemoryDelivery(message, message.receives, self)

    async def count(self) -> int:
        await checkpoint()
        return len(self.messages)

    def _copies(self) -> int:
        if self.drop:
            self.drop -= 1
            return 0
        if self.duplicate:
            self.duplicate -= 1
            return 2
        return 1

    def _next(self) -> SentDoorbell | None:
        for message in [m for m in self.messages if m.visible_at_s <= self.now_s()]:
            if message.receives < self._max_receives:
                return message
            self.messages.remove(message)
            doorbell = json.dumps({"job_id": message.job_id})
            self.dead.put(Message(f"doorbell-{id(message)}", doorbell))
        return None
