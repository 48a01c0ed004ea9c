"""Files, sockets and the queue, of the simulator and of ComfyUI: recordings show them badly."""

import io
import json
import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from PIL import Image

from comfyui_simulator import Simulator, SimulatorSettings
from tests.data.comfyui.cases import FLAGS, changed
from tests.data.comfyui.tape import GRAPHS, Json, Tape, connected, is_end_of

pytestmark = pytest.mark.anyio

PEERS = ["0.3.75", "0.33.0", pytest.param("real", marks=pytest.mark.comfyui)]
QUIET_S = 0.3  # how long silence must last to be believed


@pytest.fixture(params=PEERS)
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A simulator of each generation, and the real ComfyUI where there is one."""
    if request.param == "real":
        real = os.getenv("COMFYQ_TEST_COMFYUI_URL")
        if not real:
            pytest.skip("COMFYQ_TEST_COMFYUI_URL is not set: no real ComfyUI to compare with")
        yield real.rstrip("/")
        return
    settings = SimulatorSettings(generation=request.param, step_s=0.001, preview_px=64)
    async with Simulator(settings) as simulator:
        yield simulator.url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def fresh_prefix() -> str:
    return f"wire/{uuid.uuid4().hex}/x"


async def outputs_of(tape: Tape, prompt_id: str) -> Json:
    reply = await tape.ask("GET", f"/history/{prompt_id}")
    outputs: Json = reply["answer"][prompt_id]["outputs"]
    return outputs


async def images_of(tape: Tape, graph: Json, node_id: str) -> list[Image.Image]:
    """Run a graph and fetch what a node saved."""
    outputs = await outputs_of(tape, await tape.run(graph))
    return [await fetched(tape.url, shown) for shown in outputs[node_id]["images"]]


async def fetched(url: str, shown: Json) -> Image.Image:
    async with (
        aiohttp.ClientSession(raise_for_status=True) as http,
        http.get(f"{url}/view", params=shown) as answer,
    ):
        return Image.open(io.BytesIO(await answer.read()))


async def test_a_saved_picture_has_its_size_and_carries_the_graph(url: str) -> None:
    async with connected(url, flags=FLAGS) as tape:
        graph = changed("sd15", "9", filename_prefix=fresh_prefix())
        prompt_id = await tape.run(graph, extra_data={"extra_pnginfo": {"workflow": {"id": "w"}}})
        shown = (await outputs_of(tape, prompt_id))["9"]["images"]
        pictures = [await fetched(url, each) for each in shown]
    assert [picture.size for picture in pictures] == [(64, 64), (64, 64)]
    assert json.loads(pictures[0].info["prompt"]) == graph
    assert json.loads(pictures[0].info["workflow"]) == {"id": "w"}
    assert [each["filename"] for each in shown] == ["x_00001_.png", "x_00002_.png"]


async def test_the_same_seed_gives_the_same_pixels(url: str) -> None:
    async with connected(url, flags=FLAGS) as tape:
        first = await images_of(tape, changed("flux", "9", filename_prefix=fresh_prefix()), "9")
        other = await images_of(tape, changed("flux", "25", noise_seed=8), "9")
        again = await images_of(tape, changed("flux", "9", filename_prefix=fresh_prefix()), "9")
    assert first[0].tobytes() == again[0].tobytes()
    assert first[0].tobytes() != other[0].tobytes()


async def test_view_knows_ranges_and_tags(url: str, http: aiohttp.ClientSession) -> None:
    async with connected(url) as tape:
        graph = changed("trivial", "2", filename_prefix=fresh_prefix())
        shown = (await outputs_of(tape, await tape.run(graph)))["2"]["images"][0]
    async with http.get(f"{url}/view", params=shown) as answer:
        whole, tag = await answer.read(), answer.headers["ETag"]
        assert answer.content_type == "image/png"
        assert answer.headers["Content-Disposition"] == f'filename="{shown["filename"]}"'
    async with http.get(f"{url}/view", params=shown, headers={"Range": "bytes=4-9"}) as answer:
        assert answer.status == 206
        assert await answer.read() == whole[4:10]
    async with http.get(f"{url}/view", params=shown, headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"filename": "nope.png"}, 404),
        ({}, 404),
        ({"filename": "../x.png"}, 400),
        ({"filename": "/etc/passwd"}, 400),
        ({"filename": "x.png", "subfolder": "../.."}, 403),
        ({"filename": "x.png", "type": "bogus"}, 400),
    ],
)
async def test_view_stays_in_its_folders(
    url: str, http: aiohttp.ClientSession, query: dict[str, str], status: int
) -> None:
    async with http.get(f"{url}/view", params=query) as answer:
        assert answer.status == status


async def test_a_client_without_flags_gets_plain_previews(url: str) -> None:
    async with connected(url) as tape:
        await tape.run(changed("flux", "25", noise_seed=uuid.uuid4().int % 2**32))
    frames = {event["type"] for event in tape.events if event["type"].startswith("frame")}
    assert frames == {"frame 1"}


async def test_a_prompt_without_a_client_shows_only_progress(url: str) -> None:
    async with connected(url, flags=FLAGS) as tape:
        body = {"prompt": changed("sleep", "2", seconds=0.1, ticks=2)}
        reply = await tape.ask("POST", "/prompt", json=body)
        await tape.heard(lambda event: event["type"] == "progress")
        await tape.ended(reply["answer"]["prompt_id"])
    seen = {event["type"] for event in tape.events}
    assert seen == {"status", "feature_flags", "progress_state", "progress"}


async def test_who_comes_back_is_told_only_the_current_node(
    url: str, http: aiohttp.ClientSession
) -> None:
    async with connected(url, flags=FLAGS) as tape:
        prompt_id = await tape.submit(GRAPHS["sleep"])
        await tape.heard(lambda event: event["type"] == "progress")
    async with http.ws_connect(f"{url}/ws?clientId={tape.client_id}") as socket:
        greeting = await socket.receive_json()
        assert greeting["type"] == "status"
        assert greeting["data"]["sid"] == tape.client_id
        assert await socket.receive_json() == {"type": "executing", "data": {"node": "2"}}
        await http.post(f"{url}/interrupt", json={"prompt_id": prompt_id})
        seen = [await socket.receive_json() for _ in range(3)]
        while seen[-1]["type"] != "executing":
            seen.append(await socket.receive_json())
    assert "execution_interrupted" in [event["type"] for event in seen]


async def test_a_second_socket_goes_deaf_when_the_first_closes(
    url: str, http: aiohttp.ClientSession
) -> None:
    address = f"{url}/ws?clientId={uuid.uuid4().hex}"
    first = await http.ws_connect(address)
    await first.receive_json()
    second = await http.ws_connect(address)
    await second.receive_json()
    await first.close()
    body: dict[str, Any] = {"prompt": GRAPHS["trivial"]}  # its status goes to everyone
    async with connected(url) as tape:
        await tape.run(body["prompt"])
    with pytest.raises(TimeoutError):
        await second.receive(timeout=QUIET_S)
    assert not second.closed
    await second.close()


async def test_prompts_run_by_number(url: str) -> None:
    async with connected(url, flags=FLAGS) as tape:
        blocker = await tape.submit(GRAPHS["sleep"])
        await tape.heard(lambda event: event["type"] == "progress")
        last = await tape.submit(GRAPHS["trivial"])
        front = await tape.submit(GRAPHS["trivial"], front=True)
        first = await tape.submit(GRAPHS["trivial"], number=-1_000_000)
        reply = await tape.ask("GET", "/prompt")
        assert reply["answer"] == {"exec_info": {"queue_remaining": 4}}
        await tape.ask("POST", "/interrupt", json={"prompt_id": blocker})
        await tape.finished(last)
    starts = [event["data"] for event in tape.events if event["type"] == "execution_start"]
    assert [data["prompt_id"] for data in starts] == [blocker, first, front, last]


async def test_the_same_id_twice_runs_twice_and_leaves_one_history(url: str) -> None:
    prompt_id = str(uuid.uuid4())
    async with connected(url, flags=FLAGS) as tape:
        await tape.submit(changed("trivial", "1", color=1), prompt_id=prompt_id)
        await tape.submit(changed("trivial", "1", color=2), prompt_id=prompt_id)
        is_end = is_end_of(prompt_id)
        await tape.heard(lambda _: len(list(filter(is_end, tape.events))) == 2)
        reply = await tape.ask("GET", f"/history/{prompt_id}")
    graph = reply["answer"][prompt_id]["prompt"][2]
    assert graph["1"]["inputs"]["color"] == 2


async def test_history_is_there_once_the_prompt_is_closed(url: str) -> None:
    async with connected(url, flags=FLAGS) as tape:
        for color in range(20):
            prompt_id = await tape.run(changed("trivial", "1", color=color))
            assert tape.answers[-1]["answer"][prompt_id]["status"]["completed"]


async def test_history_can_be_deleted(url: str) -> None:
    async with connected(url, flags=FLAGS) as tape:
        prompt_id = await tape.run(GRAPHS["trivial"])
        await tape.ask("POST", "/history", json={"delete": [prompt_id]})
        assert (await tape.ask("GET", f"/history/{prompt_id}"))["answer"] == {}


async def test_everything_is_under_api_too(url: str, http: aiohttp.ClientSession) -> None:
    for path in ("/queue", "/prompt", "/system_stats", "/object_info/SaveImage"):
        async with http.get(url + path) as plain, http.get(f"{url}/api{path}") as prefixed:
            assert prefixed.status == plain.status == 200
            assert (await prefixed.json()).keys() == (await plain.json()).keys()
