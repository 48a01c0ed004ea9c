"""The tools as the official MCP client sees them."""

import asyncio
from base64 import b64decode
from typing import Any

import anyio
import pytest
from mcp import Client, types
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError

from comfyq.mcp import server as mcp_server
from comfyq.mcp.api import ApiError, Away, Json
from comfyq.mcp.limits import CallLimits
from tests.mcp_lab import (
    ERAS,
    JOB,
    PICTURE,
    SCHEMA,
    MemoryApi,
    client_of,
    job,
    output,
    server_of,
    view,
)

pytestmark = pytest.mark.anyio

OWN = {"list_workflows", "list_jobs", "job_status", "cancel_job", "regenerate"}
REFUSED = "the server refused it (422 invalid-parameters): steps: is 900; the most is 150"


def told(result: types.CallToolResult) -> str:
    return "\n".join(each.text for each in result.content if isinstance(each, types.TextContent))


@pytest.mark.parametrize("era", ERAS)
async def test_each_workflow_is_a_tool_with_its_own_schema(era: str) -> None:
    broken = view("bad", version="", available=False, reasons=["it is broken: no graph"])
    forbidden = view("secret", forbidden=True)
    async with client_of(MemoryApi(views=[view(), broken, forbidden]), era=era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"sd15"} | OWN
    assert tools["sd15"].input_schema == SCHEMA
    assert tools["sd15"].title == "SD15"
    assert (tools["sd15"].description or "").startswith("Pictures by sd15.")
    for name in OWN:
        assert tools[name].description
        assert tools[name].input_schema["additionalProperties"] is False


async def test_a_workflow_that_is_called_like_a_tool_of_ours_is_one_beside_it() -> None:
    api = MemoryApi(views=[view("regenerate")])
    async with client_of(api) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        await client.call_tool("regenerate-workflow", {"prompt": "a fox"})
    assert names == {"regenerate-workflow"} | OWN
    assert api.submitted == [("regenerate", {"prompt": "a fox"})]


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_runs_a_job_and_answers_with_what_it_made(era: str) -> None:
    made = [
        output(),
        output("b.flac", kind="audio"),
        output("c.mp4", kind="video"),
        output("d.txt", kind="text", text="a fox, they say"),
    ]
    api = MemoryApi(states=[job(status="completed", progress=1.0, outputs=made)])
    async with client_of(api, era=era) as client:
        result = await client.call_tool("sd15", {"prompt": "a fox"})
    assert not result.is_error
    assert api.submitted == [("sd15", {"prompt": "a fox"})]
    summary, picture, sound, video, text = result.content
    assert isinstance(summary, types.TextContent)
    assert all(each["url"] in summary.text for each in made)
    assert isinstance(picture, types.ImageContent)
    assert (b64decode(picture.data), picture.mime_type) == (PICTURE, "image/png")
    assert isinstance(sound, types.AudioContent)
    assert isinstance(video, types.ResourceLink)
    assert (video.uri, video.mime_type, video.size) == (made[2]["url"], "video/mp4", len(PICTURE))
    assert isinstance(text, types.TextContent)
    assert text.text == "a fox, they say"
    assert result.structured_content is not None
    assert result.structured_content["job_id"] == JOB
    assert [each["url"] for each in result.structured_content["outputs"]] == [
        each["url"] for each in made
    ]


async def test_pictures_together_beyond_the_limit_are_links() -> None:
    made = [output("a.png"), output("b.png"), output("c.png")]
    api = MemoryApi(states=[job(status="completed", outputs=made)])
    limits = CallLimits(inline_bytes=2 * len(PICTURE))
    async with client_of(api, limits=limits) as client:
        result = await client.call_tool("sd15", {"prompt": "a fox"})
    kinds = [type(each) for each in result.content[1:]]
    assert kinds == [types.ImageContent, types.ImageContent, types.ResourceLink]


async def test_a_picture_that_cannot_be_fetched_is_a_link() -> None:
    class Unreachable(MemoryApi):
        async def read(self, job_id: str, output: Json) -> bytes:
            raise Away("cannot reach the storage")

    api = Unreachable(states=[job(status="completed", outputs=[output()])])
    async with client_of(api) as client:
        result = await client.call_tool("sd15", {"prompt": "a fox"})
    assert isinstance(result.content[1], types.ResourceLink)
    assert not result.is_error


@pytest.mark.parametrize("era", ERAS)
async def test_progress_is_told_while_it_runs_and_only_grows(era: str) -> None:
    states = [
        job(queue_position=3),
        job(queue_position=1),
        job(status="running", progress=0.5, node_class="KSampler", step=5, max_steps=10),
        job(status="running", progress=0.2, node_class="KSampler", step=2, max_steps=10),
        job(status="completed", progress=1.0),
    ]
    reported: list[tuple[float, float | None, str | None]] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        reported.append((progress, total, message))

    async with client_of(MemoryApi(states=states), era=era) as client:
        await client.call_tool("sd15", {"prompt": "a fox"}, progress_callback=report)
    values = [progress for progress, _, _ in reported]
    assert values == sorted(set(values)), "each is larger than the one before"
    assert {total for _, total, _ in reported} == {1.0}
    messages = [message or "" for _, _, message in reported]
    assert "number 3" in messages[0]
    assert "number 1" in messages[1]
    assert "KSampler, step 5 of 10" in messages[2]
    assert len(reported) == len(states)


@pytest.mark.parametrize("era", ERAS)
async def test_a_refusal_is_a_result_that_the_model_can_read(era: str) -> None:
    async with client_of(MemoryApi(refusal=ApiError(REFUSED)), era=era) as client:
        result = await client.call_tool("sd15", {"prompt": "a fox", "seed": -9})
    assert result.is_error
    assert told(result) == REFUSED


async def test_nothing_is_passed_on_that_the_schema_does_not_have() -> None:
    """The API takes it: a job that tells somebody else of its results."""
    api = MemoryApi()
    async with client_of(api) as client:
        astray = {"prompt": "a fox", "webhook_url": "https://elsewhere.example/", "priority": 9}
        result = await client.call_tool("sd15", astray)
    assert result.is_error
    assert "takes no 'webhook_url', 'priority'; it takes prompt" in told(result)
    assert api.submitted == []


async def test_a_failed_job_is_an_error_with_its_reason() -> None:
    failed = job(status="failed", error="no room on the GPU", error_code="out-of-memory")
    async with client_of(MemoryApi(states=[failed])) as client:
        result = await client.call_tool("sd15", {"prompt": "a fox"})
        shown = await client.call_tool("job_status", {"job_id": JOB})
    assert result.is_error
    assert "Error out-of-memory: no room on the GPU" in told(result)
    assert not shown.is_error, "it was only asked for"


async def test_an_unknown_tool_is_a_workflow_that_there_is_not() -> None:
    async with client_of(MemoryApi()) as client:
        result = await client.call_tool("nothing", {})
    assert result.is_error
    assert "workflow-not-found" in told(result)


@pytest.mark.parametrize("era", ERAS)
async def test_who_gives_up_on_a_call_cancels_its_job(era: str) -> None:
    api = MemoryApi(states=[job(status="running")], stays_open=True)
    async with client_of(api, era=era) as client:
        async with anyio.create_task_group() as calls:
            calls.start_soon(client.call_tool, "sd15", {"prompt": "a fox"})
            await api.followed.wait()
            calls.cancel_scope.cancel()
        await asyncio.wait_for(api.canceled.wait(), 10)


async def test_a_call_that_lasts_too_long_ends_and_its_job_goes_on() -> None:
    running = job(status="running", progress=0.5, eta_s=40)
    api = MemoryApi(states=[running], stays_open=True)
    async with client_of(api, limits=CallLimits(wait_s=0.01)) as client:
        result = await client.call_tool("sd15", {"prompt": "a fox"})
    assert not result.is_error
    assert not api.canceled.is_set()
    assert "about 40 s left" in told(result)
    assert "`job_status`" in told(result)


async def test_what_a_newer_server_leaves_out_is_not_missed() -> None:
    made = {name: value for name, value in output().items() if name != "text"}
    ended = {"id": JOB, "status": "completed", "workflow": "sd15", "outputs": [made]}
    async with client_of(MemoryApi(states=[ended])) as client:
        result = await client.call_tool("job_status", {"job_id": JOB})
    assert [type(each) for each in result.content] == [types.TextContent, types.ImageContent]
    assert result.structured_content is not None
    assert result.structured_content["status"] == "completed"


async def test_status_waits_for_the_end_if_it_is_asked_to() -> None:
    ended = job(status="completed", outputs=[output()])
    async with client_of(MemoryApi(states=[job(status="running"), ended])) as client:
        result = await client.call_tool("job_status", {"job_id": JOB, "wait_s": 30})
    assert isinstance(result.content[1], types.ImageContent)


async def test_how_long_status_may_wait_is_told_as_it_is() -> None:
    async with client_of(MemoryApi(), limits=CallLimits(wait_s=20.5)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert tools["job_status"].input_schema["properties"]["wait_s"]["maximum"] == 20


async def test_status_waits_no_longer_than_a_call_lasts() -> None:
    api = MemoryApi(states=[job(status="running")], stays_open=True)
    async with client_of(api, limits=CallLimits(wait_s=0.01)) as client:
        asked = client.call_tool("job_status", {"job_id": JOB, "wait_s": 600})
        result = await asyncio.wait_for(asked, 10)
    assert "`job_status`" in told(result)


async def test_again_is_with_the_same_values_and_another_seed() -> None:
    api = MemoryApi()
    async with client_of(api) as client:
        await client.call_tool("regenerate", {"job_id": JOB})
        await client.call_tool("regenerate", {"job_id": JOB, "seed": 8})
    assert api.submitted == [
        ("sd15", {"prompt": "a fox", "seed": -1}),
        ("sd15", {"prompt": "a fox", "seed": 8}),
    ]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"workflow": "graph", "seed": None}, "keeps its seeds"), ({"seed": None}, "has no seed")],
)
async def test_what_has_no_seed_is_not_made_again(changed: dict[str, Any], reason: str) -> None:
    api = MemoryApi(states=[job(status="completed", **changed)])
    async with client_of(api) as client:
        result = await client.call_tool("regenerate", {"job_id": JOB})
    assert result.is_error
    assert reason in told(result)
    assert api.submitted == []


async def test_cancel() -> None:
    api = MemoryApi()
    async with client_of(api) as client:
        result = await client.call_tool("cancel_job", {"job_id": JOB})
    assert api.canceled.is_set()
    assert not result.is_error
    assert result.structured_content is not None
    assert result.structured_content["status"] == "canceled"


async def test_lists() -> None:
    broken = view("bad", version="", available=False, reasons=["it is broken: no graph"])
    api = MemoryApi(views=[view(), broken])
    async with client_of(api) as client:
        workflows = await client.call_tool("list_workflows", {})
        jobs = await client.call_tool("list_jobs", {"status": "completed", "limit": 3})
    assert "sd15: Pictures by sd15." in told(workflows)
    assert "Not available: it is broken: no graph." in told(workflows)
    assert api.asked == [{"status": "completed", "limit": "3"}]
    assert f"{JOB} sd15 completed" in told(jobs)
    assert "cursor older" in told(jobs)


@pytest.mark.parametrize(
    ("tool", "arguments", "fault"),
    [
        ("job_status", {}, "job_id: is missing"),
        ("job_status", {"job_id": JOB, "wait_s": 9_000}, "wait_s: must be less"),
        ("job_status", {"job_id": "a" * 200_000}, "job_id: must have at most 100 characters"),
        ("regenerate", {"job_id": ""}, "job_id: must have at least 1 character"),
        ("list_jobs", {"state": "running"}, "state: is not known here"),
    ],
)
async def test_wrong_arguments_are_named(tool: str, arguments: dict[str, Any], fault: str) -> None:
    async with client_of(MemoryApi()) as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert fault in told(result)
    assert len(told(result)) < 200, "what was sent is not sent back"


async def test_a_tool_that_there_is_not_is_told_with_the_one_that_may_be_meant() -> None:
    async with client_of(MemoryApi()) as client:
        near = await client.call_tool("list_job", {})
        far = await client.call_tool("xyz", {})
    assert near.is_error
    assert "there is no tool list_job; did you mean list_jobs?" in told(near)
    assert "workflow-not-found" in told(near)
    assert "there is no tool xyz. " in told(far)


async def test_a_list_says_what_jobs_are_and_why_they_failed() -> None:
    failed = job(status="failed", error="out of memory", error_code="node-failed", title="a fox")
    async with client_of(MemoryApi(states=[failed])) as client:
        listed = await client.call_tool("list_jobs", {"status": "failed"})
    assert f'{JOB} sd15 "a fox" failed: out of memory' in told(listed)
    content = listed.structured_content
    assert content
    assert [each["title"] for each in content["jobs"]] == ["a fox"]


async def test_without_its_server_there_are_the_tools_of_jobs_and_they_say_why() -> None:
    api = MemoryApi(refusal=Away("cannot reach http://127.0.0.1:8000: refused"))
    async with client_of(api) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == OWN
        result = await client.call_tool("list_workflows", {})
    assert result.is_error
    assert "cannot reach" in told(result)


async def test_who_is_refused_is_told_so_instead_of_tools() -> None:
    async with client_of(MemoryApi(refusal=ApiError("refused (401 unauthenticated)"))) as client:
        with pytest.raises(MCPError, match="unauthenticated"):
            await client.list_tools()


async def test_a_client_that_subscribes_is_told_of_new_workflows() -> None:
    api = MemoryApi()
    async with (
        client_of(api, every_s=0.01) as client,
        client.listen(tools_list_changed=True) as changes,
    ):
        await client.list_tools()
        api.views.append(view("flux"))
        await asyncio.wait_for(anext(aiter(changes)), 10)
        assert "flux" in {tool.name for tool in (await client.list_tools()).tools}


async def test_a_client_of_before_2026_is_told_of_them_too() -> None:
    api, changed = MemoryApi(), asyncio.Event()

    async def handle(message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            changed.set()

    async with client_of(api, era="legacy", every_s=0.01, message_handler=handle) as client:
        capabilities = client.server_capabilities
        assert capabilities.tools is not None
        assert capabilities.tools.list_changed
        await client.list_tools()
        api.views[0] = view(parameters={**SCHEMA, "required": []})
        await asyncio.wait_for(changed.wait(), 10)


async def test_what_one_client_has_read_is_told_to_the_others() -> None:
    own, shown = MemoryApi(), MemoryApi()
    server = server_of(own, shown=shown)
    async with (
        server.following_workflows(every_s=0.01),
        Client(server.server) as early,
        Client(server.server) as late,
        early.listen(tools_list_changed=True) as changes,
    ):
        await early.list_tools()
        shown.views.append(view("flux"))
        assert "flux" in {tool.name for tool in (await late.list_tools()).tools}
        own.views.append(view("flux"))  # the server looks by itself after that
        await asyncio.wait_for(anext(aiter(changes)), 10)


async def test_who_asked_while_the_api_was_away_is_told_when_it_is_back() -> None:
    own, shown = MemoryApi(), MemoryApi(refusal=Away("it is started again"))
    server = server_of(own, shown=shown)
    async with (
        server.following_workflows(every_s=0.01),
        Client(server.server) as client,
        client.listen(tools_list_changed=True) as changes,
    ):
        assert {tool.name for tool in (await client.list_tools()).tools} == OWN
        await asyncio.wait_for(anext(aiter(changes)), 10)


async def test_a_client_that_does_not_read_keeps_nothing_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_server, "TELL_S", 0.05)

    async def hang(_: ServerSession) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(ServerSession, "send_tool_list_changed", hang)
    api = MemoryApi()
    server = server_of(api)
    async with (
        server.following_workflows(every_s=0.01),
        Client(server.server, mode="legacy") as hanging,
        Client(server.server) as client,
        client.listen(tools_list_changed=True) as changes,
    ):
        await client.list_tools()
        await hanging.list_tools()
        news = aiter(changes)
        for number in range(3):
            api.views.append(view(f"new-{number}"))
            await asyncio.wait_for(anext(news), 10)


@pytest.mark.parametrize(
    ("tool", "arguments", "told_of_job"),
    [
        ("sd15", {"prompt": "a fox"}, f"job {JOB} was canceled"),
        ("job_status", {"job_id": JOB, "wait_s": 30}, "ask again"),
    ],
)
async def test_its_own_end_says_which_job_it_canceled(
    tool: str, arguments: dict[str, Any], told_of_job: str
) -> None:
    api = MemoryApi(states=[job(status="running")], stays_open=True)
    server = server_of(api)
    async with Client(server.server) as client:
        call = asyncio.create_task(client.call_tool(tool, arguments))
        await api.followed.wait()
        server.end()
        result = await call
    assert told_of_job in told(result)
    assert api.canceled.is_set() == (tool == "sd15")


async def test_nobody_is_told_while_nothing_changes() -> None:
    told_of: list[object] = []

    class Counting(MemoryApi):
        left = 5
        read_often = asyncio.Event()

        async def workflows(self) -> list[dict[str, Any]]:
            self.left -= 1
            if not self.left:
                self.read_often.set()
            return self.views

    async def handle(message: object) -> None:
        told_of.append(message)

    api = Counting()
    async with client_of(api, era="legacy", every_s=0.001, message_handler=handle) as client:
        await client.list_tools()
        await asyncio.wait_for(api.read_often.wait(), 10)
    assert told_of == []


@pytest.mark.parametrize("era", ERAS)
async def test_names_of_any_length_are_not_repeated_whole(era: str) -> None:
    long = "x" * 200_000
    many = {f"{long}{number}": 1 for number in range(9)}
    async with client_of(MemoryApi(views=[view()]), era=era) as client:
        calls: list[tuple[str, dict[str, Any]]] = [
            (long, {}),
            ("sd15", many),
            ("list_jobs", many),
        ]
        for tool, arguments in calls:
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert 0 < len(told(result)) < 2_000, tool[:20]
