"""Failures on demand, and the counters that prove what was done."""

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from comfyui_simulator import Faults, Simulator, SimulatorSettings
from comfyui_simulator.running.failures import EXIT_STATUS
from tests.data.comfyui.cases import FLAGS, changed
from tests.data.comfyui.tape import GRAPHS, Json, Tape, connected

pytestmark = pytest.mark.anyio

DEADLINE_S = 20
QUIET_S = 0.2  # how long silence must last to be believed


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(step_s=0.001, preview_px=64)) as started:
        yield started


@pytest.fixture
async def tape(simulator: Simulator) -> AsyncIterator[Tape]:
    async with connected(simulator.url, flags=FLAGS) as connection:
        yield connection


async def fault(tape: Tape, **change: Any) -> Json:
    return await tape.ask("POST", "/simulator/faults", json=change)


async def stats(tape: Tape) -> Json:
    counters: Json = (await tape.ask("GET", "/simulator/stats"))["answer"]
    return counters


async def end_of(tape: Tape, prompt_id: str) -> tuple[str, Json]:
    """The last message of a prompt's history."""
    history = (await tape.ask("GET", f"/history/{prompt_id}"))["answer"]
    kind, data = history[prompt_id]["status"]["messages"][-1]
    return kind, data


async def test_the_simulator_says_that_it_is_one(tape: Tape) -> None:
    system = (await tape.ask("GET", "/system_stats"))["answer"]["system"]
    assert system["simulated"] is True
    assert system["comfyui_version"] == "0.33.0"


@pytest.mark.parametrize("change", [{"nonsense": 1}, {"oom": "many"}, {"deaf": 1}])
async def test_a_fault_that_does_not_exist_is_refused(tape: Tape, change: Json) -> None:
    assert (await fault(tape, **change))["status"] == 400


async def test_out_of_memory_strikes_as_often_as_asked(tape: Tape) -> None:
    await fault(tape, oom=1)
    kind, error = await end_of(tape, await tape.run(GRAPHS["flux"]))
    assert kind == "execution_error"
    assert error["exception_type"] == "torch.OutOfMemoryError"
    assert error["node_type"] == "SamplerCustomAdvanced"
    assert (await end_of(tape, await tape.run(GRAPHS["flux"])))[0] == "execution_success"


async def test_a_broken_device_fails_everything_until_it_is_mended(tape: Tape) -> None:
    await fault(tape, device_fault=True)
    for _ in range(2):
        kind, error = await end_of(tape, await tape.run(GRAPHS["trivial"]))
        assert kind == "execution_error"
        assert "CUDA error" in error["exception_message"]
    await fault(tape, device_fault=False)
    assert (await end_of(tape, await tape.run(GRAPHS["trivial"])))[0] == "execution_success"


@pytest.mark.parametrize(("is_queued", "executions"), [(False, 0), (True, 1)])
async def test_a_refused_prompt_may_be_queued_all_the_same(
    tape: Tape, is_queued: bool, executions: int
) -> None:
    await fault(tape, refuse=1, refuse_status=503, refuse_queued=is_queued)
    prompt_id = str(uuid.uuid4())
    body = {"prompt": GRAPHS["trivial"], "client_id": tape.client_id, "prompt_id": prompt_id}
    assert (await tape.ask("POST", "/prompt", json=body))["status"] == 503
    await tape.run(GRAPHS["trivial"])  # whatever was queued before has run by then
    counters = await stats(tape)
    assert counters["executions"].get(prompt_id, 0) == executions
    assert counters["prompts_refused"] == 1


async def test_what_hangs_ignores_interrupts(tape: Tape) -> None:
    prompt_id = await tape.submit(GRAPHS["sleep"])
    await tape.heard(lambda event: event["type"] == "progress")
    await fault(tape, hang=True)
    await tape.ask("POST", "/interrupt")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(QUIET_S):
            await tape.heard(lambda event: event["type"] == "execution_interrupted")
    assert (await tape.ask("GET", "/queue"))["answer"]["queue_running"][0][1] == prompt_id
    await fault(tape, hang=False)
    await tape.finished(prompt_id)


async def test_a_simulator_that_hangs_can_be_stopped() -> None:
    async with asyncio.timeout(DEADLINE_S):
        async with Simulator(SimulatorSettings(faults=Faults(hang=True))) as hanging:
            body = {"prompt": GRAPHS["trivial"]}
            async with aiohttp.ClientSession() as http:
                await http.post(f"{hanging.url}/prompt", json=body)


async def test_a_deaf_simulator_executes_in_silence(tape: Tape) -> None:
    await fault(tape, deaf=True)
    heard = len(tape.events)
    prompt_id = await tape.submit(GRAPHS["trivial"])
    await tape.ended(prompt_id)
    assert len(tape.events) == heard


async def test_stalled_events_arrive_later(tape: Tape) -> None:
    await fault(tape, stall_socket=True)
    heard = len(tape.events)
    prompt_id = await tape.submit(GRAPHS["trivial"])
    await tape.ended(prompt_id)
    assert len(tape.events) == heard
    await fault(tape, stall_socket=False)
    await tape.finished(prompt_id)


async def test_sockets_close_without_a_close_frame(simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(f"{simulator.url}/ws?clientId=a")
        await socket.receive_json()
        await http.post(f"{simulator.url}/simulator/faults", json={"close_sockets": True})
        await socket.receive(timeout=DEADLINE_S)
        assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


async def test_lost_outputs_are_not_found_even_when_cached(tape: Tape) -> None:
    prompt_id = await tape.run(GRAPHS["trivial"])
    await fault(tape, lose_outputs=True)
    again = await tape.run(changed("trivial", "2", filename_prefix="lost"))
    for each, status in ((prompt_id, 404), (again, 404)):
        history = (await tape.ask("GET", f"/history/{each}"))["answer"][each]
        for shown in history["outputs"]["2"]["images"]:
            assert (await tape.ask("GET", "/view", params=shown))["status"] == status


async def test_history_can_come_late(tape: Tape) -> None:
    await fault(tape, delay_history_s=0.3)
    prompt_id = await tape.run(GRAPHS["trivial"])
    assert tape.answers[-1]["answer"] == {}
    await tape.ended(prompt_id)


async def test_http_can_be_slow(tape: Tape) -> None:
    await fault(tape, slow_http_s=5.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(QUIET_S):
            await tape.ask("GET", "/queue")
    await fault(tape, slow_http_s=0.0)


async def test_a_node_that_exits_leaves_its_prompt_running_for_ever(tape: Tape) -> None:
    prompt_id = await tape.submit(changed("raise", "2", kind="sysexit"))
    await tape.heard(
        lambda event: event["type"] == "executing" and event["data"].get("node") == "2"
    )
    waiting = await tape.submit(GRAPHS["trivial"])
    await tape.ask("POST", "/interrupt")
    queue = (await tape.ask("GET", "/queue"))["answer"]
    assert [row[1] for row in queue["queue_running"]] == [prompt_id]
    assert [row[1] for row in queue["queue_pending"]] == [waiting]
    assert (await tape.ask("GET", f"/history/{prompt_id}"))["answer"] == {}


async def test_the_process_can_die_when_a_prompt_starts() -> None:
    code = (
        "import asyncio\n"
        "from comfyui_simulator import Faults, SimulatorSettings, serve\n"
        "settings = SimulatorSettings(faults=Faults(exit=True))\n"
        "asyncio.run(serve(settings, lambda simulator: print(simulator.url, flush=True)))\n"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=pipe)
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    try:
        async with aiohttp.ClientSession() as http:
            with contextlib.suppress(aiohttp.ClientError):  # it may or may not answer in time
                await http.post(f"{url}/prompt", json={"prompt": GRAPHS["trivial"]})
        assert await asyncio.wait_for(process.wait(), DEADLINE_S) == EXIT_STATUS
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_counters_tell_what_was_rendered(tape: Tape) -> None:
    before = await stats(tape)
    first, second = await tape.run(GRAPHS["sd15"]), await tape.run(GRAPHS["sd15"])
    after = await stats(tape)
    assert after["images_rendered"] - before["images_rendered"] == 2
    assert after["images_by_prompt"][first] == 2
    assert second not in after["images_by_prompt"]
    assert after["samplings"] == {first: 1}
    assert after["executions"][second] == 1


async def test_freed_memory_forgets_results(tape: Tape) -> None:
    await tape.run(GRAPHS["trivial"])
    await tape.ask("POST", "/free", json={"free_memory": True})
    await tape.run(GRAPHS["trivial"])
    cached = [event for event in tape.events if event["type"] == "execution_cached"]
    assert [event["data"]["nodes"] for event in cached] == [[], []]


async def test_a_pending_twin_is_an_error_and_queued_all_the_same(tape: Tape) -> None:
    await tape.submit(GRAPHS["sleep"])
    await tape.heard(lambda event: event["type"] == "progress")
    body = {"prompt": GRAPHS["trivial"], "prompt_id": str(uuid.uuid4()), "number": 5}
    answers = [(await tape.ask("POST", "/prompt", json=body))["status"] for _ in range(2)]
    assert answers == [200, 500]
    assert len((await tape.ask("GET", "/queue"))["answer"]["queue_pending"]) == 2
