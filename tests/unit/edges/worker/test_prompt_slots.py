"""Places in ComfyUI's queue, and jobs that leave theirs while their files are fetched."""

import asyncio

import pytest

from comfyq.edges.worker.prompt_slots import PromptSlot, PromptSlots

pytestmark = pytest.mark.anyio


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def prepare(slot: PromptSlot, fetched: asyncio.Event) -> None:
    async with slot.turn.preparing():
        await fetched.wait()


async def test_other_jobs_are_claimed_and_run_while_one_prepares() -> None:
    slots, fetched = PromptSlots(1, keep_s=0), asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        slow = slots.enter()
        task = group.create_task(prepare(slow, fetched))
        await settle()
        for _ in range(3):
            await slots.room()
            other = slots.enter()
            other.start()
            other.leave()
        assert not task.done()
        fetched.set()


async def test_a_prepared_job_waits_for_a_place_before_it_takes_one() -> None:
    slots, fetched = PromptSlots(1, keep_s=0), asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        slow = slots.enter()
        task = group.create_task(prepare(slow, fetched))
        await settle()
        running = slots.enter()
        running.start()
        fetched.set()
        await settle()
        assert not task.done()
        running.leave()
        await task
        assert not slots.has_room, "it waits for ComfyUI now"
        slow.leave()
        await slots.room()


async def test_a_job_that_is_canceled_while_it_prepares_leaves_nothing_behind() -> None:
    slots = PromptSlots(1, preparing=1, keep_s=0)
    async with asyncio.timeout(10):
        slow = slots.enter()
        task = asyncio.create_task(prepare(slow, asyncio.Event()))
        await settle()
        assert not slots.may_prepare
        task.cancel()
        await asyncio.wait([task])
        slow.leave()
        assert slots.may_prepare
        await slots.room()


async def test_as_many_prepare_as_may_and_the_next_keeps_its_place() -> None:
    slots, fetched = PromptSlots(2, preparing=2, keep_s=0), asyncio.Event()
    entered = []
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for expected in (True, True, False):
            await slots.room()
            entered.append(slots.enter())
            group.create_task(prepare(entered[-1], fetched))
            await settle()
            assert slots.has_room is expected
        fetched.set()
        await settle()
        for slot in reversed(entered):
            slot.leave()


async def test_a_short_fetch_keeps_its_place() -> None:
    slots, fetched = PromptSlots(2), asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        slot = slots.enter()
        task = group.create_task(prepare(slot, fetched))
        await settle()
        assert not slots.has_room
        fetched.set()
        await task
        assert not slots.has_room, "it waits for ComfyUI"
        slot.start()
        assert slots.has_room


async def test_nothing_more_is_claimed_while_a_prepared_job_waits_for_a_place() -> None:
    slots, fetched = PromptSlots(1, keep_s=0), asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        first, second = slots.enter(), slots.enter()
        tasks = [group.create_task(prepare(slot, fetched)) for slot in (first, second)]
        await settle()
        claimed = slots.enter()
        fetched.set()
        await settle()
        claimed.leave()  # it could not be claimed: its place goes to the one that waits longest
        assert not slots.has_room
        await tasks[0]
        for slot in (first, second):
            slot.start()
            assert not slots.has_room
            slot.leave()
        await tasks[1]
        await slots.room()


async def test_a_prepared_job_that_is_canceled_no_longer_waits() -> None:
    slots, fetched = PromptSlots(1, keep_s=0), asyncio.Event()
    async with asyncio.timeout(10):
        slow = slots.enter()
        task = asyncio.create_task(prepare(slow, fetched))
        await settle()
        running = slots.enter()
        running.start()
        fetched.set()
        await settle()
        task.cancel()
        await asyncio.wait([task])
        slow.leave()
        running.leave()
        await slots.room()


async def test_a_job_whose_models_are_fetched_leaves_its_place_at_once() -> None:
    slots, fetched = PromptSlots(1, preparing=1, keep_s=60), asyncio.Event()

    async def provision(slot: PromptSlot) -> None:
        async with slot.turn.provisioning():
            await fetched.wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        waiting = [slots.enter()]
        group.create_task(provision(waiting[0]))
        await slots.room()
        waiting.append(slots.enter())
        second = group.create_task(provision(waiting[1]))
        await slots.room()
        other = slots.enter()
        other.start()
        fetched.set()
        await settle()
        assert not second.done(), "the other one runs"
        assert all(each.waits for each in waiting)
        other.leave()
        for each in waiting:
            await settle()
            assert not slots.has_room, "a place is for those whose models are here"
            each.start()
            each.leave()
        await slots.room()
