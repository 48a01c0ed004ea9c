"""Differences of ComfyUI 0.33 from 0.3.75, and graphs that no recording has."""

import io
import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest
from PIL import Image

from comfyui_simulator import Simulator, SimulatorSettings
from tests.data.comfyui.cases import FLAGS, changed
from tests.data.comfyui.tape import GRAPHS, Json, Tape, connected

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tape() -> AsyncIterator[Tape]:
    settings = SimulatorSettings(generation="0.33.0", step_s=0.001, preview_px=64)
    async with Simulator(settings) as simulator, connected(simulator.url, flags=FLAGS) as ours:
        yield ours


async def test_ids_other_than_uuids_are_refused(tape: Tape) -> None:
    for prompt_id in ("job-42", str(uuid.uuid4()).upper()):
        body = {"prompt": GRAPHS["trivial"], "prompt_id": prompt_id}
        reply = await tape.ask("POST", "/prompt", json=body)
        assert reply["status"] == 400
        assert reply["answer"]["error"]["type"] == "invalid_prompt_id"


async def test_canceling_by_job_stops_exactly_that_one(tape: Tape) -> None:
    running = await tape.submit(GRAPHS["sleep"])
    await tape.heard(lambda event: event["type"] == "progress")
    pending = await tape.submit(GRAPHS["trivial"])
    statuses = {job["id"]: job["status"] for job in await jobs(tape)}
    assert (statuses[running], statuses[pending]) == ("in_progress", "pending")
    assert await cancelled(tape, pending) is True
    assert await cancelled(tape, running) is True
    await tape.finished(running)
    assert await cancelled(tape, running) is False
    assert (await tape.ask("GET", f"/api/jobs/{pending}"))["status"] == 404
    job = (await tape.ask("GET", f"/api/jobs/{running}"))["answer"]
    assert job["status"] == "cancelled"
    assert job["workflow"]["prompt"] == GRAPHS["sleep"]


async def jobs(tape: Tape) -> list[Json]:
    listed: list[Json] = (await tape.ask("GET", "/api/jobs"))["answer"]["jobs"]
    return listed


async def cancelled(tape: Tape, job_id: str) -> bool:
    reply = await tape.ask("POST", f"/api/jobs/{job_id}/cancel")
    return bool(reply["answer"]["cancelled"])


async def test_the_older_generation_has_no_jobs() -> None:
    settings = SimulatorSettings(generation="0.3.75")
    async with Simulator(settings) as simulator, connected(simulator.url) as tape:
        assert (await tape.ask("GET", "/api/jobs"))["status"] == 404


async def test_fast_steps_without_previews_are_skipped() -> None:
    settings = SimulatorSettings(step_s=0.001, preview_every_steps=0)
    async with Simulator(settings) as simulator, connected(simulator.url) as tape:
        await tape.run(changed("sd15", "3", steps=20))
    values = [event["data"]["value"] for event in tape.events if event["type"] == "progress"]
    assert values[0] == 1
    assert values[-1] == 20
    assert len(values) < 20


async def test_a_prompt_may_want_no_previews(tape: Tape) -> None:
    for seed, method in enumerate(("none", "auto")):
        extra = {"preview_method": method}
        await tape.run(changed("sd15", "3", steps=2, seed=seed), extra_data=extra)
        shown = [event for event in tape.events if event["type"] == "frame 4"]
        assert bool(shown) is (method != "none")


async def test_two_nodes_made_of_the_same_run_once(tape: Tape) -> None:
    prompt_id = await tape.run({**GRAPHS["trivial"], "3": GRAPHS["trivial"]["2"]})
    reply = await tape.ask("GET", f"/history/{prompt_id}")
    outputs = reply["answer"][prompt_id]["outputs"]
    assert outputs["2"] == outputs["3"]
    rendered = (await tape.ask("GET", "/simulator/stats"))["answer"]["images_by_prompt"]
    assert rendered[prompt_id] == 2


async def test_a_video_has_the_frames_and_the_size_of_its_latent(tape: Tape) -> None:
    prompt_id = await tape.run(GRAPHS["wan"])
    reply = await tape.ask("GET", f"/history/{prompt_id}")
    outputs = reply["answer"][prompt_id]["outputs"]
    assert outputs["20"]["images"][0]["filename"].endswith(".mp4")
    assert outputs["20"]["animated"] == [True]
    url, params = f"{tape.url}/view", outputs["21"]["images"][0]
    async with aiohttp.ClientSession() as http, http.get(url, params=params) as answer:
        assert answer.content_type == "image/webp"
        with Image.open(io.BytesIO(await answer.read())) as animation:
            assert animation.size == (64, 32)
            assert getattr(animation, "n_frames", 1) == 5
