"""Submissions of a queue are taken once each, soon after whoever had received them has died."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from comfyq.aio.tasks import beside
from comfyq.edges.intake import poller
from comfyq.ports.inbox import Message
from comfyq.ports.queue import TAKEN_S
from comfyq.testing.memory.clock import ManualClock
from comfyq.testing.memory.inbox import MemoryInbox
from tests.api_lab import ApiLab
from tests.scripted_engine import until

pytestmark = pytest.mark.anyio


class Taking:
    """Takes no message before it is ``free``; it takes all or none."""

    def __init__(self, *, succeeds: bool = True) -> None:
        self.begun: list[str] = []
        self.free = asyncio.Event()
        self.succeeds = succeeds

    async def take(self, intake: object, owner: object, message: Message, *, queue: str) -> bool:
        self.begun.append(message.id)
        await self.free.wait()
        return self.succeeds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def inbox(clock: ManualClock) -> MemoryInbox:
    return MemoryInbox(clock=clock, visibility_s=TAKEN_S)


@asynccontextmanager
async def polling(
    inbox: MemoryInbox, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    monkeypatch.setattr(poller, "take", taking.take)
    services = ApiLab().services
    async with beside(poller.take_for_ever(inbox, services.intake, services.authenticator)):
        yield


async def test_what_a_dead_process_had_received_comes_within_seconds(
    inbox: MemoryInbox, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.put(Message("m", "{}"))
    assert await inbox.receive(wait_s=0), "and its process is gone"
    taking = Taking()
    taking.free.set()
    async with polling(inbox, taking, monkeypatch):
        clock.advance(TAKEN_S)
        await until(lambda: not inbox.slots)
    assert taking.begun == ["m"]


async def test_what_takes_long_stays_hidden(
    inbox: MemoryInbox, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "HIDE_AFTER_S", 0)
    inbox.put(Message("m", "{}"))
    taking = Taking()
    async with polling(inbox, taking, monkeypatch):
        shown = clock.now().timestamp() + poller.HIDDEN_S
        await until(lambda: bool(taking.begun) and inbox.slots[0].visible_at_s == shown)
        taking.free.set()
        await until(lambda: not inbox.slots)
    assert taking.begun == ["m"]


async def test_what_could_not_be_taken_comes_again_later(
    inbox: MemoryInbox, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.put(Message("m", "{}"))
    taking = Taking(succeeds=False)
    taking.free.set()
    async with polling(inbox, taking, monkeypatch):
        again = clock.now().timestamp() + poller.RETRY_S
        await until(lambda: inbox.slots[0].visible_at_s == again)
        clock.advance(poller.RETRY_S)
        await until(lambda: len(taking.begun) == 2)
