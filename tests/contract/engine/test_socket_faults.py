"""A socket that drops, goes deaf or stalls, and a ComfyUI that goes away: runs are found anyway."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.domain.job.progress import Advance
from comfyq.ports.engine import Ended, EngineUnavailable, PromptLost, PromptState, Started
from comfyui_simulator import Faults, Simulator, SimulatorSettings

pytestmark = pytest.mark.anyio


async def deafen(shaky: Any, target: Any) -> None:
    """ComfyUI forgets a socket when another of the same client id ends."""
    client_id = shaky.engine.client_id
    async with aiohttp.ClientSession(target.url) as session:
        other = await session.ws_connect("/ws", params={"clientId": client_id})
        await other.receive()
        await other.close()


async def until_open(shaky: Any, *, but: str = "") -> None:
    async def is_open() -> bool:
        return bool(shaky.engine.is_connected and shaky.engine.client_id != but)

    await shaky.until(is_open)


async def test_a_socket_cut_in_mid_run(shaky: Any, proxy: Any, graphs: Any) -> None:
    prompt_id = await shaky.submit(graphs.sleeping(1.5))
    events = []
    async for event in shaky.engine.follow(prompt_id):
        events.append(event)
        if isinstance(event, Advance) and event.step == 5:
            proxy.cut_sockets()
    steps = [event.step for event in events if isinstance(event, Advance) and event.node == "3"]
    assert events[0] == Started()
    assert events.count(Started()) == 1
    assert steps == sorted(steps)
    assert len([step for step in steps if step > 10]) > 3  # it hears on the next socket
    assert isinstance(events[-1], Ended)
    assert proxy.sockets_opened == 2


async def test_no_socket_at_all(shaky: Any, proxy: Any, graphs: Any) -> None:
    await until_open(shaky)
    prompt_id = await shaky.submit(graphs.sleeping(0.5))
    following = asyncio.create_task(shaky.follow(prompt_id))
    while not following.done():
        proxy.cut_sockets()
        await asyncio.sleep(0)
    assert isinstance((await following)[-1], Ended)


async def test_a_run_that_ends_while_the_socket_is_away(
    target: Any, proxy: Any, graphs: Any, rig: Any, rig_of: Any
) -> None:
    """Its follower is woken by the cut: it does not sit out a poll that is a minute long."""
    timing = EngineTiming(poll_s=60, poll_down_s=0.1, unavailable_s=20)
    async with ComfyEngine(proxy.url, timing=timing) as engine:
        cut_off = rig_of(engine)
        prompt_id = await cut_off.submit(graphs.sleeping(0.5))
        following = asyncio.create_task(cut_off.follow(prompt_id))
        await rig.until_state(prompt_id, PromptState.RUNNING)
        await until_open(cut_off)
        proxy.refuses = True
        proxy.cut_all()
        await rig.until_state(prompt_id, PromptState.ENDED)
        proxy.refuses = False
        async with asyncio.timeout(5):
            assert isinstance((await following)[-1], Ended)


async def test_a_deaf_socket_costs_one_poll_and_is_replaced(
    shaky: Any, target: Any, graphs: Any
) -> None:
    await until_open(shaky)
    old_id = shaky.engine.client_id
    await deafen(shaky, target)
    began = time.monotonic()
    events = await shaky.follow(await shaky.submit(graphs.trivial()))
    assert events[0] == Started()
    assert isinstance(events[-1], Ended)
    assert time.monotonic() - began < 2.0
    await until_open(shaky, but=old_id)
    events = await shaky.follow(await shaky.submit(graphs.sleeping(0.3)))
    assert any(isinstance(event, Advance) and event.step for event in events)


async def test_a_stalled_socket_is_replaced(shaky: Any, proxy: Any, graphs: Any) -> None:
    await until_open(shaky)
    old_id = shaky.engine.client_id
    proxy.stalls_sockets = True
    await shaky.end(await shaky.submit(graphs.trivial()))
    proxy.stalls_sockets = False
    await until_open(shaky, but=old_id)


async def test_never_two_sockets_at_a_time(shaky: Any, proxy: Any, graphs: Any) -> None:
    for cuts in range(3):
        await until_open(shaky)
        assert proxy.sockets_opened == cuts + 1
        assert proxy.sockets_open == 1
        proxy.cut_sockets()
        await shaky.end(await shaky.submit(graphs.trivial()))
    await shaky.end(await shaky.submit(graphs.sleeping(0.1)))


async def test_a_healthy_socket_is_kept(target: Any, graphs: Any, rig_of: Any) -> None:
    """Prompts of others, and looks at the wrong moment, are no reason to doubt it."""
    timing = EngineTiming(poll_s=0.01, suspect_s=0.2)
    async with ComfyEngine(target.url, timing=timing) as engine, ComfyEngine(target.url) as other:
        client_id = engine.client_id
        from_here, from_there = rig_of(engine), rig_of(other)
        for _ in range(5):
            mine = await from_here.submit(graphs.sleeping(0.1))
            theirs = await from_there.submit(graphs.sleeping(0.1))
            await asyncio.gather(from_here.end(mine), from_here.end(theirs))
        assert engine.client_id == client_id


async def test_comfyui_goes_away_for_longer_than_we_wait(
    shaky: Any, proxy: Any, target: Any, graphs: Any
) -> None:
    prompt_id = await shaky.submit(graphs.sleeping(3))
    await shaky.until_state(prompt_id, PromptState.RUNNING)
    proxy.refuses = True
    proxy.cut_all()
    began = time.monotonic()
    with pytest.raises(EngineUnavailable):
        await shaky.follow(prompt_id)
    assert 0.9 < time.monotonic() - began < 5
    proxy.refuses = False
    await shaky.end(prompt_id)  # and it was not harmed


async def test_a_short_absence_is_borne(shaky: Any, proxy: Any, graphs: Any) -> None:
    prompt_id = await shaky.submit(graphs.sleeping(1))
    following = asyncio.create_task(shaky.follow(prompt_id))
    await shaky.until_state(prompt_id, PromptState.RUNNING)
    proxy.refuses = True
    proxy.cut_all()
    await asyncio.sleep(0.4)  # shorter than the engine waits; nothing can be observed meanwhile
    proxy.refuses = False
    assert isinstance((await following)[-1], Ended)


async def test_a_restarted_comfyui_has_lost_the_prompt(shaky: Any, proxy: Any, graphs: Any) -> None:
    prompt_id = await shaky.submit(graphs.sleeping(20))
    following = asyncio.create_task(shaky.follow(prompt_id))
    await shaky.until_state(prompt_id, PromptState.RUNNING)
    async with Simulator(SimulatorSettings()) as restarted:
        old_url, proxy.upstream_url = proxy.upstream_url, restarted.url
        proxy.cut_all()
        with pytest.raises(PromptLost) as caught:
            await following
        assert caught.value.started
        await shaky.end(await shaky.submit(graphs.trivial()))
        proxy.upstream_url = old_url
        proxy.cut_all()
    await shaky.engine.cancel(prompt_id)


async def test_a_history_that_lags_is_waited_for(graphs: Any, rig_of: Any) -> None:
    """The prompt is in neither queue nor history then, but ComfyUI has said that it ended."""
    lagging = SimulatorSettings(faults=Faults(delay_history_s=1.0))
    async with Simulator(lagging) as simulator, ComfyEngine(simulator.url) as engine:
        rig = rig_of(engine)
        await rig.end(await rig.submit(graphs.trivial()))
