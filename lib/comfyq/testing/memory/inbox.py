import time
from collections.abc import Sequence
from dataclasses import dataclass

import anyio
from anyio.lowlevel import checkpoint

from comfyq.ports.clock import Clock
from comfyq.ports.inbox import MAX_MESSAGES, Message
from comfyq.ports.queue import MAX_HIDE_S, MAX_WAIT_S, check_seconds

POLL_S = 0.002


@dataclass(slots=True, eq=False)  # the same message sent twice is two
class InboxSlot:
    message: Message
    visible_at_s: float  # epoch
    receives: int = 0


@dataclass(frozen=True, slots=True)
class MemoryMessageDelivery:
    slot: InboxSlot
    receives: int  # when it was delivered; a later receive makes this one lapse
    inbox: "MemoryInbox"

    @property
    def message(self) -> Message:
        return self.slot.message

    async def ack(self) -> None:
        await checkpoint()
        if self.receives == self.slot.receives and self.slot in self.inbox.slots:
            self.inbox.slots.remove(self.slot)

    async def hide(self, seconds: float) -> None:
        check_seconds(seconds, most=MAX_HIDE_S)
        await checkpoint()
        if self.receives == self.slot.receives:
            self.inbox.hide(self.slot, seconds)


class MemoryInbox:
    """An inbox whose visibility follows the given clock. ``dead`` gets what was received
    ``max_receives`` times."""

    def __init__(
        self,
        *,
        clock: Clock,
        visibility_s: float = 30,
        max_receives: int = 10,
        dead: "MemoryInbox | None" = None,
        name: str = "inbox",
    ) -> None:
        self.name = name
        self.slots: list[InboxSlot] = []
        self._clock = clock
        self._visibility_s = visibility_s
        self._max_receives = max_receives
        self._dead = dead

    def put(self, message: Message) -> None:
        self.slots.append(InboxSlot(message, self._now_s()))

    def hide(self, slot: InboxSlot, seconds: float) -> None:
        slot.visible_at_s = self._now_s() + seconds

    async def receive(self, *, wait_s: float) -> Sequence[MemoryMessageDelivery]:
        check_seconds(wait_s, most=MAX_WAIT_S)
        deadline = time.monotonic() + wait_s
        await checkpoint()
        while not (slots := self._visible()):
            if time.monotonic() >= deadline:
                return []
            await anyio.sleep(POLL_S)
        return [self._deliver(slot) for slot in slots[:MAX_MESSAGES]]

    def _visible(self) -> list[InboxSlot]:
        visible = [slot for slot in self.slots if slot.visible_at_s <= self._now_s()]
        if self._dead is None:
            return visible
        for slot in visible:
            if slot.receives >= self._max_receives:
                self.slots.remove(slot)
                self._dead.put(slot.message)
        return [slot for slot in visible if slot.receives < self._max_receives]

    def _deliver(self, slot: InboxSlot) -> MemoryMessageDelivery:
        slot.receives += 1
        self.hide(slot, self._visibility_s)
        return MemoryMessageDelivery(slot, slot.receives, self)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()
