"""The task that sends webhooks: woken by what is stored, held up by no receiver."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from comfyq.aio.tasks import beside
from comfyq.domain.caller import DEFAULT_TENANT, TenantId
from comfyq.domain.errors import TableUnavailable
from comfyq.domain.job import JobId
from comfyq.domain.webhook_delivery import LEASE
from comfyq.edges.webhooks.loop import REST, WebhookLoop
from comfyq.ports.table import Cursor
from comfyq.ports.webhooks import WebhookAnswer
from comfyq.services.notify.due_webhooks import AT_ONCE, SHARE, Outlook
from tests.webhook_lab import WebhookLab

pytestmark = pytest.mark.anyio

HANGING = "https://hanging.example"
OTHER = "https://other.example/"
TENANTS = [DEFAULT_TENANT, *(TenantId(f"tenant-{n}") for n in range(50))]


class Receivers:
    """One that hangs until a test lets it answer, and others that answer at once."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.hanging = 0
        self.may_answer = asyncio.Event()
        self.came = asyncio.Condition()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, tenant: TenantId
    ) -> WebhookAnswer:
        if url.startswith(HANGING):
            await self._note(hanging=1)
            await self.may_answer.wait()
        self.told.append(url)
        await self._note(hanging=0)
        return WebhookAnswer(204)

    async def _note(self, *, hanging: int) -> None:
        async with self.came:
            self.hanging += hanging
            self.came.notify_all()

    async def until(self, *, told: int = 0, hanging: int = 0) -> None:
        async with asyncio.timeout(30), self.came:
            await self.came.wait_for(lambda: len(self.told) >= told and self.hanging >= hanging)


def looping(lab: WebhookLab) -> WebhookLoop:
    services = lab.services
    return WebhookLoop(services.due_webhooks, services.webhook_deadlines, clock=lab.clock)


async def while_time_goes_by(lab: WebhookLab, receivers: Receivers, *, told: int) -> None:
    async with asyncio.timeout(30):
        while len(receivers.told) < told:
            await asyncio.sleep(0)
            lab.clock.advance(1)
            lab.services.webhook_deadlines.note(lab.clock.now())


async def test_a_receiver_that_hangs_holds_nobody_up() -> None:
    lab, receivers = WebhookLab(), Receivers()
    lab.services.webhook_post = receivers
    async with beside(looping(lab).run()):
        for _ in range(5):
            await lab.ended(url=HANGING)
        await receivers.until(hanging=5)
        await lab.ended(url=OTHER)  # which wakes the loop
        await receivers.until(told=1)
        assert receivers.told == [OTHER]
        receivers.may_answer.set()
        await receivers.until(told=6)


async def test_any_number_of_deliveries_to_one_that_hangs_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("comfyq.services.notify.due_webhooks.PAGE", 20)
    lab, receivers = WebhookLab(), Receivers()
    lab.services.webhook_post = receivers
    for number in range(60):
        await lab.ended(url=f"{HANGING}/{number}")
    async with beside(looping(lab).run()):
        await receivers.until(hanging=SHARE)
        lab.clock.advance(2)
        await lab.ended(url=OTHER)  # behind three pages of what has to wait
        await receivers.until(told=1)
        assert (receivers.told, receivers.hanging) == ([OTHER], SHARE)
        receivers.may_answer.set()
        await receivers.until(told=61)


async def test_a_look_past_what_has_to_wait_reads_some_pages_and_the_next_goes_on_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("comfyq.services.notify.due_webhooks.PAGE", 5)
    monkeypatch.setattr("comfyq.edges.webhooks.loop.PAGES", 2)
    lab, receivers = WebhookLab(), Receivers()
    lab.services.webhook_post = receivers
    for number in range(80):  # one of another receiver is in the midst of them
        await lab.ended(url=OTHER if number == 40 else f"{HANGING}/{number}")
        lab.clock.advance(1)
    pages: list[int] = []  # of each pass
    query = lab.table.query

    async def counted(index: str, partition: str, **page: Any) -> object:
        if page.get("after") is None and not page.get("descending"):
            pages.append(0)
        pages[-1] += 1
        return await query(index, partition, **page)

    monkeypatch.setattr(lab.table, "query", counted)
    async with beside(looping(lab).run()):
        await while_time_goes_by(lab, receivers, told=1)
        assert receivers.told == [OTHER]
        await lab.ended(url=f"{OTHER}new")
        await while_time_goes_by(lab, receivers, told=2)
        assert max(pages) == 4, "the oldest page, the newest, and two between"
        receivers.may_answer.set()
        await receivers.until(told=81)


async def test_however_long_looks_past_what_has_to_wait_take_most_of_the_time_is_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("comfyq.services.notify.due_webhooks.PAGE", 5)
    monkeypatch.setattr("comfyq.edges.webhooks.loop.PAGES", 2)
    lab, receivers, page_s = WebhookLab(), Receivers(), 2
    lab.services.webhook_post = receivers
    for number in range(80):
        await lab.ended(url=f"{HANGING}/{number}")
        lab.clock.advance(1)
    pages, look, began = 0, lab.services.due_webhooks.look, lab.clock.now()

    async def slow(after: Cursor | None = None) -> Outlook:
        nonlocal pages
        if after is not None:
            pages += 1
            lab.clock.advance(page_s)
        return await look(after)

    async def second() -> None:
        for _ in range(200):  # of the loop: whatever may go on does
            await asyncio.sleep(0)
        lab.clock.advance(1)
        lab.services.webhook_deadlines.note(began)  # so that the loop looks at the clock

    monkeypatch.setattr(lab.services.due_webhooks, "look", slow)
    async with asyncio.timeout(30), beside(looping(lab).run()):
        while pages < 12:
            await second()
        elapsed = (lab.clock.now() - began).total_seconds()
        assert elapsed >= REST * (pages - 2) * page_s
        await lab.ended(url=OTHER)  # what has just come is found all the same
        for _ in range(3):
            await second()
        assert receivers.told == [OTHER]
        receivers.may_answer.set()
        await receivers.until(told=81)


async def test_what_becomes_due_again_while_it_is_sent_is_sent_again() -> None:
    lab, receivers = WebhookLab(), Receivers()
    lab.services.webhook_post = receivers
    async with beside(looping(lab).run()):
        job = await lab.ended(url=HANGING)
        await receivers.until(hanging=1)
        told, began = await lab.delivery(job), lab.clock.now()
        await lab.services.webhook_deliveries.redeliver(lab.owner, JobId(job.id), told.id)
        for _ in range(20):  # the loop has looked, and passed it over
            await asyncio.sleep(0)
        receivers.may_answer.set()
        await receivers.until(told=1)
        await while_time_goes_by(lab, receivers, told=2)
        assert lab.clock.now() - began >= LEASE


async def test_what_has_no_room_is_sent_when_there_is_some() -> None:
    lab, receivers = WebhookLab(), Receivers()
    lab.services.webhook_post = receivers
    for tenant in TENANTS:
        for number in range(2):
            await lab.ended(url=f"{HANGING}:{8_000 + number}/", tenant=tenant)
    async with beside(looping(lab).run()):
        await receivers.until(hanging=AT_ONCE)
        assert receivers.hanging == AT_ONCE
        receivers.may_answer.set()
        await receivers.until(told=2 * len(TENANTS))


async def test_a_tenant_all_of_whose_receivers_hang_leaves_places_to_others() -> None:
    lab, receivers = WebhookLab(), Receivers()
    lab.services.webhook_post = receivers
    for number in range(2 * AT_ONCE):
        await lab.ended(url=f"{HANGING}:{8_000 + number // SHARE}/")
    async with beside(looping(lab).run()):
        await receivers.until(hanging=AT_ONCE // 2)
        lab.clock.advance(2)
        await lab.ended(url=OTHER, tenant=TENANTS[1])  # behind all of them
        await receivers.until(told=1)
        assert (receivers.told, receivers.hanging) == ([OTHER], AT_ONCE // 2)
        receivers.may_answer.set()
        await receivers.until(told=2 * AT_ONCE + 1)


async def test_a_table_that_is_away_is_asked_again() -> None:
    lab, receivers = WebhookLab(), Receivers()
    lab.services.webhook_post = receivers
    await lab.ended(url=OTHER)
    query, failures = lab.table.query, [TableUnavailable("away")]

    async def failing(index: str, partition: str, **page: object) -> object:
        if failures:
            raise failures.pop()
        return await query(index, partition, **page)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lab.table, "query", failing)
        async with beside(looping(lab).run()):
            while failures:  # noqa: ASYNC110 - the table has no event
                await asyncio.sleep(0)
            lab.clock.advance(4)  # a doorbell is heard before the pause is over
            lab.services.webhook_deadlines.note(lab.clock.now())
            await receivers.until(told=1)
