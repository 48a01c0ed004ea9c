"""``comfyq mcp`` as a process, driven by the official MCP client: over a pipe, and over HTTP."""

import asyncio
import contextlib
import io
import json
import shutil
import sys
import urllib.request
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from PIL import Image

from tests.e2e.test_keys import Commands
from tests.paths import ROOT, WORKFLOWS
from tests.processes import Process, Processes, clean_env

pytestmark = pytest.mark.anyio

WAIT_S = 60.0
SMALL = {"prompt": "a fox", "width": 64, "height": 64, "steps": 4}
LONG = {**SMALL, "steps": 150}
ERAS = ("legacy", "auto")
EACH_ERA = pytest.mark.parametrize(
    "era", [pytest.param("legacy", marks=pytest.mark.verify), "auto"]
)
WAYS = ("pipe", "http")
CONNECTIONS = 8  # of one client
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "a page", "version": "1"},
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Processes, Process]]:
    started = Processes(tmp_path_factory.mktemp("server"))
    try:
        yield started, started.up()
    finally:
        started.close()


@pytest.fixture(scope="module")
def on_loopback(server: tuple[Processes, Process]) -> str:
    processes, up = server
    return processes.mcp(up, env={"COMFYQ_CONNECTIONS_PER_CLIENT": str(CONNECTIONS)}).url


@asynccontextmanager
async def connected(
    way: str,
    processes: Processes,
    up: Process,
    *,
    era: str = "auto",
    options: tuple[object, ...] = (),
    home: Path,
    **how: Any,
) -> AsyncIterator[Client]:
    """Yield a client of a new ``comfyq mcp`` for ``up``."""
    if way == "pipe":
        arguments = ["-m", "comfyq.cli", "mcp", *map(str, options)]
        env = clean_env(home, {"COMFYQ_URL": up.url})
        started: Any = StdioServerParameters(
            command=sys.executable, args=arguments, env=env, cwd=ROOT
        )
    else:
        started = processes.mcp(up, options=options).url
    async with Client(started, mode=era, read_timeout_seconds=WAIT_S, **how) as client:
        yield client


def jobs(up: Process) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{up.url}/generate") as answer:
        listed: list[dict[str, Any]] = json.load(answer)["jobs"]
        return listed


def told(result: types.CallToolResult) -> str:
    return "\n".join(each.text for each in result.content if isinstance(each, types.TextContent))


@EACH_ERA
@pytest.mark.parametrize("way", WAYS)
async def test_the_whole_journey(
    server: tuple[Processes, Process], way: str, era: str, tmp_path: Path
) -> None:
    processes, up = server
    reported: list[float] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        reported.append(progress)

    async with connected(way, processes, up, era=era, home=tmp_path) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {each.name for each in WORKFLOWS.iterdir()} <= names

        made = await client.call_tool("sd15", SMALL, progress_callback=report)
        assert not made.is_error, told(made)
        assert reported
        assert reported == sorted(set(reported))
        [picture] = [each for each in made.content if isinstance(each, types.ImageContent)]
        with Image.open(io.BytesIO(b64decode(picture.data))) as image:
            assert image.size == (64, 64)
        job = made.structured_content
        assert job is not None
        assert (job["status"], job["simulated"]) == ("completed", True)

        again = await client.call_tool("regenerate", {"job_id": job["job_id"]})
        other = again.structured_content
        assert other is not None
        assert other["job_id"] != job["job_id"]
        assert other["seed"] != job["seed"]

        listed = await client.call_tool("list_jobs", {"limit": 2})
        assert told(listed).index(other["job_id"]) < told(listed).index(job["job_id"])
        shown = await client.call_tool("job_status", {"job_id": job["job_id"]})
        assert [type(each) for each in shown.content] == [types.TextContent, types.ImageContent]

        wrong = await client.call_tool("sd15", {**SMALL, "steps": 900})
        assert wrong.is_error
        assert "steps: is 900; the most is 150" in told(wrong)
        missing = await client.call_tool("job_status", {"job_id": "0" * 8})
        assert missing.is_error


async def test_a_picture_beyond_the_limit_is_a_link(
    server: tuple[Processes, Process], tmp_path: Path
) -> None:
    processes, up = server
    options = ("--inline-bytes", 10)
    async with connected("pipe", processes, up, options=options, home=tmp_path) as client:
        made = await client.call_tool("sd15", SMALL)
    [link] = [each for each in made.content if isinstance(each, types.ResourceLink)]
    assert link.mime_type == "image/png"
    async with httpx2.AsyncClient(timeout=WAIT_S) as http:
        answer = await http.get(link.uri)
    assert len(answer.content) == link.size


@EACH_ERA
@pytest.mark.parametrize("way", WAYS)
async def test_who_gives_up_on_a_call_cancels_its_job(
    processes: Processes, way: str, era: str, tmp_path: Path
) -> None:
    simulator = processes.simulator(options=["--step-s", "0.2"])
    up = processes.up(comfyui=[simulator.url])
    running = asyncio.Event()

    async def report(progress: float, total: float | None, message: str | None) -> None:
        if "step" in (message or ""):
            running.set()

    async with connected(way, processes, up, era=era, home=tmp_path) as client:
        async with anyio.create_task_group() as calls:
            calls.start_soon(lambda: client.call_tool("sd15", LONG, progress_callback=report))
            await asyncio.wait_for(running.wait(), WAIT_S)
            calls.cancel_scope.cancel()
        [job] = jobs(up)
        ended = await client.call_tool("job_status", {"job_id": job["id"], "wait_s": 60})
    assert ended.structured_content is not None
    assert ended.structured_content["status"] == "canceled"


@pytest.mark.parametrize("way", ["pipe", pytest.param("http", marks=pytest.mark.verify)])
async def test_a_server_killed_in_the_middle_of_a_call_and_started_again(
    processes: Processes, way: str, tmp_path: Path
) -> None:
    simulator = processes.simulator(options=["--step-s", "0.1"])
    data = tmp_path / "data"
    up = processes.up(comfyui=[simulator.url], data_dir=data)
    port = up.url.rpartition(":")[2]
    running, results = asyncio.Event(), []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        if "step" in (message or ""):
            running.set()

    async def call(client: Client) -> None:
        results.append(
            await client.call_tool("sd15", {**SMALL, "steps": 40}, progress_callback=report)
        )

    async with (
        connected(way, processes, up, home=tmp_path) as client,
        anyio.create_task_group() as calls,
    ):
        calls.start_soon(call, client)
        await asyncio.wait_for(running.wait(), WAIT_S)
        up.kill()
        again = await anyio.to_thread.run_sync(
            lambda: processes.up(comfyui=[simulator.url], data_dir=data, port=int(port))
        )
    [result] = results
    assert not result.is_error, told(result)
    assert [type(each) for each in result.content] == [types.TextContent, types.ImageContent]
    assert [each["status"] for each in jobs(again)] == ["completed"]


@EACH_ERA
@pytest.mark.parametrize("way", WAYS)
async def test_a_new_workflow_is_a_new_tool(
    processes: Processes, way: str, era: str, tmp_path: Path
) -> None:
    folder = tmp_path / "workflows"
    shutil.copytree(WORKFLOWS / "sd15", folder / "sd15")
    up = processes.up(env={"COMFYQ_WORKFLOWS_DIR": str(folder)})
    changed = asyncio.Event()

    async def handle(message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            changed.set()

    options = ("--refresh", 0.2)
    async with connected(
        way, processes, up, era=era, options=options, home=tmp_path, message_handler=handle
    ) as client:
        listening = (
            client.listen(tools_list_changed=True) if era == "auto" else contextlib.nullcontext()
        )
        async with listening as changes:
            assert "fox" not in {tool.name for tool in (await client.list_tools()).tools}
            shutil.copytree(WORKFLOWS / "sd15", folder / "fox")
            news = changed.wait() if changes is None else anext(aiter(changes))
            await asyncio.wait_for(news, WAIT_S)
        assert "fox" in {tool.name for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize("way", WAYS)
async def test_its_own_orderly_end_cancels_what_calls_wait_for(
    processes: Processes, way: str, tmp_path: Path
) -> None:
    simulator = processes.simulator(options=["--step-s", "0.2"])
    up = processes.up(comfyui=[simulator.url])
    if way == "pipe":
        await _called_and_left(up, tmp_path)
    else:
        mcp = processes.mcp(up)
        running = asyncio.Event()

        async def report(progress: float, total: float | None, message: str | None) -> None:
            if "step" in (message or ""):
                running.set()

        async def call(client: Client) -> None:
            with contextlib.suppress(MCPError):
                await client.call_tool("sd15", LONG, progress_callback=report)

        async with Client(mcp.url) as client, anyio.create_task_group() as calls:
            calls.start_soon(call, client)
            await asyncio.wait_for(running.wait(), WAIT_S)
            assert await anyio.to_thread.run_sync(mcp.stop) == 0, mcp.log
            calls.cancel_scope.cancel()
    [job] = jobs(up)
    with anyio.fail_after(WAIT_S):
        while job["status"] != "canceled":
            assert job["status"] == "running"
            await anyio.sleep(0.05)
            [job] = jobs(up)


async def _called_and_left(up: Process, home: Path) -> None:
    """Call a tool by hand over a pipe, and close the pipe as soon as its job runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "comfyq.cli", "mcp"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=clean_env(home, {"COMFYQ_URL": up.url}),
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    call = {"name": "sd15", "arguments": LONG, "_meta": {"progressToken": 1}}
    for message in (
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call},
    ):
        process.stdin.write(json.dumps(message).encode() + b"\n")
    async with asyncio.timeout(WAIT_S):
        while b"step" not in await process.stdout.readline():
            pass
        process.stdin.close()
        assert await process.wait() == 0


async def test_a_server_that_is_not_there_is_named(processes: Processes, tmp_path: Path) -> None:
    up = processes.up()
    up.kill()
    async with connected("pipe", processes, up, home=tmp_path) as client:
        result = await client.call_tool("list_workflows", {})
    assert result.is_error
    assert f"cannot reach {up.url}" in told(result)


ACCEPT = {"Accept": "application/json, text/event-stream"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
        ({"Host": "localhost:80@evil.example"}, 421),
        ({"Host": "localhost:80/evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost"}, 200),
    ],
)
async def test_pages_of_others_are_kept_out(
    on_loopback: str, headers: dict[str, str], status: int
) -> None:
    async with httpx2.AsyncClient(timeout=WAIT_S) as http:
        answer = await http.post(on_loopback, json=INITIALIZE, headers={**ACCEPT, **headers})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000, b"431"),
        (b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"400"),
        (b"POST /mcp HTTP/1.1\r\n\r\n", b"400"),
    ],
)
async def test_it_has_the_limits_of_the_server_of_the_api(
    on_loopback: str, head: bytes, status: bytes
) -> None:
    reader, writer = await asyncio.open_connection(*_address_of(on_loopback))
    with contextlib.closing(writer), anyio.fail_after(WAIT_S):
        writer.write(head)
        assert (await reader.read()).startswith(b"HTTP/1.1 " + status)


async def test_its_clients_have_so_many_connections(on_loopback: str) -> None:
    address = _address_of(on_loopback)
    held = [await asyncio.open_connection(*address) for _ in range(CONNECTIONS + 1)]
    with anyio.fail_after(WAIT_S):
        first, _ = held[0]
        assert (await first.read()).startswith(b"HTTP/1.1 408"), "it gives way to the last one"
    for _, writer in held:
        writer.close()


def _address_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


async def test_others_need_a_key_and_use_their_own(processes: Processes, tmp_path: Path) -> None:
    comfyq = Commands(tmp_path)
    ours, theirs = comfyq.key(), comfyq.key("--tenant", "another")
    up = processes.up(data_dir=comfyq.data_dir, options=("--auth", "keys"))
    mcp = processes.mcp(up, options=("--host", "0.0.0.0"), key=ours)
    url = mcp.url.replace("0.0.0.0", "127.0.0.1")

    async with httpx2.AsyncClient(timeout=WAIT_S) as http:
        for bearer in (None, "let-me-in", ours[:-4] + "0000"):
            shown = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
            answer = await http.post(url, json=INITIALIZE, headers={**ACCEPT, **shown})
            assert answer.status_code == 401
        answer = await http.post(
            url,
            json=INITIALIZE,
            headers={**ACCEPT, "Host": "evil.example", "Authorization": f"Bearer {ours}"},
        )
        assert answer.status_code == 421

    for era in ERAS:
        async with _holding(ours, url, era) as client:
            made = (await client.call_tool("sd15", SMALL)).structured_content
            assert made is not None
        async with _holding(theirs, url, era) as client:
            other = await client.call_tool("job_status", {"job_id": made["job_id"]})
            assert other.is_error
            assert "job-not-found" in told(other)
            assert told(await client.call_tool("list_jobs", {})) == "None."


@asynccontextmanager
async def _holding(key: str, url: str, era: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=WAIT_S) as http,
        Client(streamable_http_client(url, http_client=http), mode=era) as client,
    ):
        yield client


async def test_an_open_server_is_not_served_to_others(
    server: tuple[Processes, Process], tmp_path: Path
) -> None:
    _, up = server
    refused = Commands(tmp_path)(
        "mcp", "--http", "--host", "0.0.0.0", "--port", 0, COMFYQ_URL=up.url
    )
    assert refused.returncode == 2
    assert "asks for no key" in refused.stderr
    assert refused.stdout == ""


async def test_it_ends_in_order(server: tuple[Processes, Process]) -> None:
    processes, up = server
    mcp = processes.mcp(up)
    async with Client(mcp.url, mode="legacy") as client:  # its stream is open when it is stopped
        await client.list_tools()
        assert await anyio.to_thread.run_sync(mcp.stop) == 0, mcp.log
