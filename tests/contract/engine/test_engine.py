"""The contract of engines: runs that go well, badly, or were never there."""

import asyncio
import io
import uuid
from typing import Any

import pytest
from PIL import Image

from comfyq.adapters.comfyui.engine import ComfyEngine
from comfyq.adapters.comfyui.timing import EngineTiming
from comfyq.domain.job.preview import PreviewMethod
from comfyq.domain.job.progress import MOST_RUNNING, Advance, Tracker
from comfyq.ports.engine import (
    MARK,
    Delayed,
    Ended,
    NodeFailed,
    OutOfMemory,
    Preview,
    Prompt,
    PromptId,
    PromptLost,
    PromptState,
    Rendered,
    RenderedFileGone,
    Started,
)

pytestmark = pytest.mark.anyio
PNG = b"\x89PNG"


async def fetched(engine: ComfyEngine, rendered: Rendered) -> bytes:
    return b"".join([chunk async for chunk in engine.fetch(rendered)])


async def test_a_run_from_start_to_file(rig: Any, graphs: Any) -> None:
    prompt_id = await rig.submit(graphs.trivial())
    first, *between, last = await rig.follow(prompt_id)
    assert first == Started()
    assert all(isinstance(event, Advance) for event in between)
    assert isinstance(last, Ended)
    (file,) = last.rendered
    assert (file.node, file.folder, file.subfolder) == ("2", "output", "contract")
    assert (await fetched(rig.engine, file)).startswith(PNG)
    assert await rig.engine.find(prompt_id) is PromptState.ENDED


async def test_a_sampler_advances_step_by_step(rig: Any, graphs: Any) -> None:
    graph = graphs.flux(steps=4)
    events = await rig.follow(await rig.submit(graph))
    steps = [e.step for e in events if isinstance(e, Advance) and e.node == "13" and e.max_steps]
    assert steps == sorted(steps)
    assert steps[-1] == 4
    assert len(set(steps)) > 1
    tracker = Tracker.of(graph)
    for event in events:
        tracker = tracker.advanced(event) if isinstance(event, Advance) else tracker
    assert tracker.progress.fraction == MOST_RUNNING


async def test_an_identical_graph_runs_from_the_cache(rig: Any, graphs: Any) -> None:
    graph = graphs.trivial()
    first = await rig.end(await rig.submit(graph))
    events = await rig.follow(await rig.submit(graph))
    assert events[-1] == first
    done = {event.node for event in events if isinstance(event, Advance) and event.done}
    assert done == {"1", "2"}


async def test_following_what_ended_before(rig: Any, graphs: Any) -> None:
    prompt_id = await rig.submit(graphs.trivial())
    ended = await rig.end(prompt_id)
    assert await rig.follow(prompt_id) == [Started(), ended]


async def test_following_what_never_was(rig: Any) -> None:
    with pytest.raises(PromptLost) as caught:
        await rig.follow(PromptId(str(uuid.uuid4())))
    assert not caught.value.started


async def test_joining_in_the_middle_from_another_process(
    rig: Any, target: Any, graphs: Any
) -> None:
    prompt_id = await rig.submit(graphs.sleeping(1.0))
    await rig.until_state(prompt_id, PromptState.RUNNING)
    async with ComfyEngine(target.url) as other:
        events = [event async for event in other.follow(prompt_id)]
    assert events[0] == Started()
    assert events[-1] == await rig.end(prompt_id)


async def test_two_followers_hear_the_same_end(rig: Any, graphs: Any) -> None:
    prompt_id = await rig.submit(graphs.sleeping(0.5))
    both = await asyncio.gather(rig.follow(prompt_id), rig.follow(prompt_id))
    assert both[0][0] == both[1][0] == Started()
    assert both[0][-1] == both[1][-1]


async def test_thirty_at_once(rig: Any, graphs: Any) -> None:
    prompts = await asyncio.gather(*(rig.submit(graphs.trivial()) for _ in range(30)))
    ends = await asyncio.gather(*(rig.end(prompt_id) for prompt_id in prompts))
    assert len({end.rendered[0].filename for end in ends}) == 30


async def test_a_slow_follower_misses_nothing_that_matters(rig: Any, graphs: Any) -> None:
    prompt_id = await rig.submit(graphs.sleeping(0.3))
    await rig.until_state(prompt_id, PromptState.ENDED)
    events = await rig.follow(prompt_id)
    assert events[0] == Started()
    assert isinstance(events[-1], Ended)


async def test_a_file_that_is_not_there(rig: Any) -> None:
    with pytest.raises(RenderedFileGone):
        await fetched(rig.engine, Rendered("2", filename="gone_00001_.png"))


async def test_a_file_whose_name_comfyui_cannot_serve_is_none(rig: Any, graphs: Any) -> None:
    """ComfyUI saves it, and fails whenever it is asked for it: not because it is away."""
    graph = graphs.trivial()
    graph["2"]["inputs"]["filename_prefix"] = f"{uuid.uuid4()}/line\nbreak"
    (saved,) = (await rig.end(await rig.submit(graph))).rendered
    assert "\n" in saved.filename
    with pytest.raises(RenderedFileGone):
        await fetched(rig.engine, saved)


async def test_a_text_that_is_not_unicode_is_repaired(rig: Any) -> None:
    graph = {
        "\u00b2": {"class_type": "PrimitiveString", "inputs": {"value": "a\ud800b"}},
        "9" * 5_000: {"class_type": "PreviewAny", "inputs": {"source": ["\u00b2", 0]}},
    }
    (shown,) = (await rig.end(await rig.submit(graph))).rendered
    assert (shown.node, shown.text) == ("9" * 5_000, "a\ufffdb")


async def test_a_text(rig: Any) -> None:
    said = f"hello {uuid.uuid4()}"
    graph = {
        "1": {"class_type": "PrimitiveString", "inputs": {"value": said}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    (shown,) = (await rig.end(await rig.submit(graph))).rendered
    assert shown.text == said
    assert await fetched(rig.engine, shown) == said.encode()


async def test_a_node_that_raises(rig: Any, graphs: Any) -> None:
    with pytest.raises(NodeFailed) as caught:
        await rig.follow(await rig.submit(graphs.failing("runtime")))
    assert type(caught.value) is NodeFailed
    assert (caught.value.error.node, caught.value.error.class_type) == ("3", "LabRaise")
    assert "deliberate" in caught.value.error.message


async def test_a_device_without_memory(rig: Any, graphs: Any) -> None:
    with pytest.raises(OutOfMemory):
        await rig.follow(await rig.submit(graphs.failing("oom")))
    await rig.engine.free()
    await rig.end(await rig.submit(graphs.trivial()))


async def test_the_newest_preview_of_a_prompt_is_there_once(target: Any, graphs: Any) -> None:
    async with ComfyEngine(target.url, preview_method=PreviewMethod.AUTO) as engine:
        async for _ in engine.follow(await _submitted(engine, graphs.trivial())):
            pass  # by its end the socket is open
        prompt_id = await _submitted(engine, graphs.flux(steps=4))
        seen: list[Preview] = []
        async for _ in engine.follow(prompt_id):
            if (preview := engine.preview(prompt_id)) is not None:
                seen.append(preview)
                assert engine.preview(prompt_id) is None
        assert engine.preview(prompt_id) is None, "of what is not followed any more there is none"
    assert {preview.prompt_id for preview in seen} == {prompt_id}
    assert seen[-1].node == "13"
    assert seen[-1].image.startswith(b"\xff\xd8")


async def _submitted(engine: ComfyEngine, graph: Any) -> PromptId:
    prompt = Prompt(PromptId(str(uuid.uuid4())), graph, {})
    await engine.submit(prompt)
    return prompt.id


async def test_uploads_get_the_name_that_graphs_must_use(rig: Any) -> None:
    async def chunks() -> Any:
        yield b"first "
        yield b"second"

    name = f"{uuid.uuid4()}.png"
    assert await rig.engine.upload(name, b"first second") == name
    assert await rig.engine.upload(name, chunks()) == name
    assert await rig.engine.upload(name, b"other") == name.replace(".png", " (1).png")


@pytest.mark.parametrize("suffix", ["tif", "tiff"])
async def test_a_file_of_many_pages_comes_whole(rig: Any, suffix: str) -> None:
    first, *others = [Image.new("L", (8, 8), shade) for shade in (0, 90, 180)]
    content = io.BytesIO()
    first.save(content, "TIFF", save_all=True, append_images=others)
    name = f"{uuid.uuid4()}.{suffix}"
    await rig.engine.upload(name, content.getvalue())
    got = await fetched(rig.engine, Rendered("1", filename=name, folder="input"))
    assert got == content.getvalue()


async def test_info(rig: Any, target: Any) -> None:
    info = await rig.engine.info()
    assert info.version.startswith("0.")
    assert info.devices
    assert info.simulated == (target.simulator is not None)


async def test_a_prompt_behind_others_says_how_many_comfyq_did_not_submit(
    target: Any, rig: Any, graphs: Any
) -> None:
    foreign = [await rig.submit(graphs.sleeping(seconds)) for seconds in (20, 0.1)]
    ours = [
        Prompt(PromptId(str(uuid.uuid4())), graphs.trivial(), {MARK: {"job_id": "j", "attempt": 1}})
        for _ in range(2)
    ]
    async with ComfyEngine(target.url, timing=EngineTiming(poll_s=0.05)) as engine:
        for prompt in ours:
            await engine.submit(prompt)
        later = await rig.submit(graphs.trivial())
        async with asyncio.timeout(30):
            events = [await anext(follower := engine.follow(ours[1].id))]
            await rig.engine.cancel(foreign[0])
            events += [event async for event in follower]
    counts = [event.foreign for event in events if isinstance(event, Delayed)]
    assert counts[0] == 2, "ours before it and the later one are not counted"
    assert counts == sorted(counts, reverse=True)
    assert events[events.index(Started()) - 1] == Delayed(0)
    await rig.end(later)
