"""Graphs that ComfyUI refuses, and answers to POST /prompt that get lost."""

import uuid
from typing import Any

import aiohttp
import pytest

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.ports.engine import EngineUnavailable, GraphRefused, Prompt, PromptId, PromptState

pytestmark = pytest.mark.anyio


async def refusal(rig: Any, graph: Any) -> GraphRefused:
    with pytest.raises(GraphRefused) as caught:
        await rig.submit(graph)
    return caught.value


async def break_with(target: Any, **faults: Any) -> None:
    """Only a simulator fails on demand."""
    if target.simulator is None:
        pytest.skip("a real ComfyUI does not fail on demand")
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{target.url}/simulator/faults", json=faults) as answer,
    ):
        answer.raise_for_status()


async def times_queued(target: Any, prompt_id: PromptId) -> int:
    """Count how often ComfyUI has a prompt, waiting, running or ended."""
    async with aiohttp.ClientSession(target.url) as session:
        async with session.get("/queue") as answer:
            queue = await answer.json()
        async with session.get("/history") as answer:
            history = await answer.json()
    waiting = [entry[1] for entry in (*queue["queue_running"], *queue["queue_pending"])]
    return [*waiting, *history].count(prompt_id)


async def test_a_wrong_name_is_answered_with_those_that_exist(rig: Any, graphs: Any) -> None:
    graph = graphs.flux(steps=1)
    graph["12"]["inputs"]["unet_name"] = "flux1_dev.safetensor"
    (error,) = (await refusal(rig, graph)).errors
    assert (error.node, error.class_type) == ("12", "UNETLoader")
    assert "unet_name" in error.message
    assert error.details[0] == "flux1-dev.safetensors"


async def test_also_where_comfyui_leaves_the_long_list_out(rig: Any, graphs: Any) -> None:
    graph = graphs.flux(steps=1)
    text, model, latent = ["6", 0], ["12", 0], ["27", 0]
    links = {"positive": text, "negative": text, "model": model, "latent_image": latent}
    numbers = {"seed": 1, "steps": 1, "cfg": 1.0, "denoise": 1.0}
    names = {"sampler_name": "eulr", "scheduler": "normal"}
    graph["13"] = {"class_type": "KSampler", "inputs": links | numbers | names}
    (error,) = (await refusal(rig, graph)).errors
    assert error.node == "13"
    assert error.details[0] == "euler"
    assert 20 < len(error.details) <= 50


async def test_an_unknown_class(rig: Any, graphs: Any) -> None:
    graph = graphs.trivial()
    graph["1"]["class_type"] = "NoSuchNode"
    (error,) = (await refusal(rig, graph)).errors
    assert (error.node, error.class_type) == ("1", "NoSuchNode")


async def test_a_missing_input(rig: Any, graphs: Any) -> None:
    graph = graphs.trivial()
    del graph["1"]["inputs"]["width"]
    assert "EmptyImage (1): width" in str(await refusal(rig, graph))


async def test_no_output(rig: Any, graphs: Any) -> None:
    graph = graphs.trivial()
    del graph["2"]
    assert not (await refusal(rig, graph)).errors


async def test_accepted_in_part_is_refused_and_nothing_runs_on(rig: Any, graphs: Any) -> None:
    graph = graphs.sleeping(20)
    graph["4"] = {"class_type": "LoadImage", "inputs": {"image": "nope.png"}}
    graph["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}}
    refused = await refusal(rig, graph)
    assert [error.node for error in refused.errors] == ["4"]
    state = await rig.engine.find(rig.submitted[-1])
    assert state in (PromptState.ABSENT, PromptState.ENDED)


async def test_one_500_is_tried_again(rig: Any, target: Any, graphs: Any) -> None:
    await break_with(target, refuse=1)
    await rig.end(await rig.submit(graphs.trivial()))


async def test_a_503_is_never_the_graphs_fault(rig: Any, target: Any, graphs: Any) -> None:
    await break_with(target, refuse=3, refuse_status=503)
    await rig.end(await rig.submit(graphs.trivial()))


async def test_a_500_that_queued_it_all_the_same(rig: Any, target: Any, graphs: Any) -> None:
    await break_with(target, refuse=1, refuse_queued=True)
    prompt_id = await rig.submit(graphs.sleeping(0.5))
    assert await times_queued(target, prompt_id) == 1
    await rig.end(prompt_id)


async def test_a_graph_that_breaks_comfyui_is_refused(rig: Any, graphs: Any) -> None:
    graph = graphs.trivial()
    graph["1"] = "not a node"  # its handler raises: 500 text/plain
    await refusal(rig, graph)


async def test_a_lost_answer_is_not_posted_twice(
    shaky: Any, proxy: Any, target: Any, graphs: Any
) -> None:
    proxy.swallows_answer_to_post = True
    prompt_id = await shaky.submit(graphs.sleeping(0.5))
    assert proxy.posts_seen == 1
    assert await times_queued(target, prompt_id) == 1
    await shaky.end(prompt_id)


async def test_a_lost_answer_that_accepted_a_part_only(shaky: Any, proxy: Any, graphs: Any) -> None:
    graph = graphs.sleeping(20)
    graph["4"] = {"class_type": "LoadImage", "inputs": {"image": "nope.png"}}
    graph["5"] = {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}}
    proxy.swallows_answer_to_post = True
    assert "5" in str(await refusal(shaky, graph))
    state = await shaky.engine.find(shaky.submitted[-1])
    assert state in (PromptState.ABSENT, PromptState.ENDED)


async def test_nobody_there(graphs: Any) -> None:
    async with ComfyEngine("http://127.0.0.1:9") as engine:  # the discard port
        with pytest.raises(EngineUnavailable):
            await engine.submit(Prompt(PromptId(str(uuid.uuid4())), graphs.trivial(), {}))
        with pytest.raises(EngineUnavailable):
            await engine.info()
