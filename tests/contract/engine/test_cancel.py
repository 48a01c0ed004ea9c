"""Canceling stops one prompt and no other."""

import asyncio
import uuid
from typing import Any

import aiohttp
import pytest

from comfyq.ports.engine import PromptId, PromptInterrupted, PromptLost, PromptState

pytestmark = pytest.mark.anyio


async def test_a_pending_prompt_is_deleted_and_its_neighbour_runs_on(rig: Any, graphs: Any) -> None:
    running = await rig.submit(graphs.sleeping(0.5))
    pending = await rig.submit(graphs.sleeping(20))
    await rig.until_state(running, PromptState.RUNNING)
    await rig.engine.cancel(pending)
    assert await rig.engine.find(pending) is PromptState.ABSENT
    await rig.end(running)


async def test_a_running_prompt_is_interrupted_and_the_next_one_runs(rig: Any, graphs: Any) -> None:
    running = await rig.submit(graphs.sleeping(20))
    pending = await rig.submit(graphs.sleeping(0.2))
    await rig.until_state(running, PromptState.RUNNING)
    await rig.engine.cancel(running)
    with pytest.raises(PromptInterrupted):
        await rig.follow(running)
    await rig.end(pending)


async def test_a_sampler_stops_before_its_next_two_steps(rig: Any, graphs: Any) -> None:
    running = await rig.submit(graphs.flux(steps=2000))
    canceling: asyncio.Task[None] | None = None
    steps = [0]
    try:
        async for event in rig.engine.follow(running):
            steps.append(getattr(event, "step", 0))
            if steps[-1] == 5:
                canceling = asyncio.create_task(rig.engine.cancel(running))
    except PromptInterrupted:
        assert 5 <= max(steps) < 100
    else:
        pytest.fail("it was not interrupted")
    assert canceling is not None
    await canceling


async def test_at_the_moment_of_the_start(rig: Any, graphs: Any) -> None:
    for _ in range(5):
        prompt_id = await rig.submit(graphs.sleeping(20))
        await rig.engine.cancel(prompt_id)
        await rig.until_state(prompt_id, PromptState.ABSENT, PromptState.ENDED)
    await rig.end(await rig.submit(graphs.trivial()))


async def test_twice_and_at_once(rig: Any, graphs: Any) -> None:
    running = await rig.submit(graphs.sleeping(20))
    neighbour = await rig.submit(graphs.sleeping(0.2))
    await rig.until_state(running, PromptState.RUNNING)
    await asyncio.gather(rig.engine.cancel(running), rig.engine.cancel(running))
    await rig.engine.cancel(running)
    with pytest.raises(PromptInterrupted):
        await rig.follow(running)
    await rig.end(neighbour)


async def test_what_has_ended_stays_as_it_is(rig: Any, graphs: Any) -> None:
    prompt_id = await rig.submit(graphs.trivial())
    ended = await rig.end(prompt_id)
    await rig.engine.cancel(prompt_id)
    assert await rig.end(prompt_id) == ended


async def test_what_never_was(rig: Any, graphs: Any) -> None:
    running = await rig.submit(graphs.sleeping(0.3))
    await rig.engine.cancel(PromptId(str(uuid.uuid4())))
    await rig.end(running)


async def test_its_follower_hears_that_it_was_deleted(shaky: Any, graphs: Any) -> None:
    blocking = await shaky.submit(graphs.sleeping(20))
    pending = await shaky.submit(graphs.trivial())
    following = asyncio.create_task(shaky.follow(pending))
    await shaky.until_state(blocking, PromptState.RUNNING)
    await shaky.engine.cancel(pending)
    with pytest.raises(PromptLost) as caught:
        await following
    assert not caught.value.started
    await shaky.engine.cancel(blocking)


async def test_somebody_else_interrupts_whatever_runs(rig: Any, target: Any, graphs: Any) -> None:
    prompt_id = await rig.submit(graphs.sleeping(20))
    await rig.until_state(prompt_id, PromptState.RUNNING)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{target.url}/interrupt") as answer,
    ):
        assert answer.status == 200
    with pytest.raises(PromptInterrupted):
        await rig.follow(prompt_id)
