"""The MCP server itself, whatever transport it is reached by."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp.shared.exceptions import MCPError

from comfyq import __version__
from comfyq.aio.tasks import beside
from comfyq.mcp.api import Api, ApiError, Away, Json
from comfyq.mcp.content import refused
from comfyq.mcp.limits import CallLimits
from comfyq.mcp.progress import ProgressReports
from comfyq.mcp.tools.calls import ToolCalls
from comfyq.mcp.tools.job_tools import JOB_TOOLS
from comfyq.mcp.tools.workflow_tools import workflow_tools, workflow_views

INSTRUCTIONS = (
    "Makes pictures, videos and sounds by ComfyUI. Each workflow is a tool; a call runs a job and "
    "answers with what it made. A job that takes longer than a call is answered with its id: ask "
    "`job_status` for it, with `wait_s`. Videos, and what is too large, are links; they expire, "
    "and `job_status` gives fresh ones."
)
SESSIONS = 1_000  # of clients before 2026 that are told of new tools; later ones subscribe
TELL_S = 5.0  # for a session to take it

Context = ServerRequestContext[Any, Any]


class ToolServer(Server[Any]):
    """A server of the SDK that tells clients of every age that its tools may change."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        told = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(told, experimental_capabilities, extensions)


class McpServer:
    """Answers MCP clients by calls of ``api_of()``: the API, as whoever asks now. With ``own``, it
    looks by itself for changed workflows.

    While the API is not reached, there are the tools of jobs alone.
    """

    def __init__(self, own: Api, api_of: Callable[[], Api], limits: CallLimits) -> None:
        self._own = own
        self._api_of = api_of
        self._limits = limits
        self._bus = InMemorySubscriptionBus()
        self._listening = ListenHandler(self._bus)
        self._calls: set[anyio.CancelScope] = set()  # that are under way
        self._sessions: OrderedDict[str, ServerSession] = OrderedDict()
        # What clients know: who looks first sees it, and whoever came later was told.
        self._announced: Mapping[str, Json] | None = None
        self._is_asked = False  # for tools, by anybody
        self.server = ToolServer(
            "comfyq",
            version=__version__,
            title="comfyq",
            instructions=INSTRUCTIONS,
            # else the SDK lists all tools before each call, to look for parameters in headers
            get_tool_input_schema=lambda _: None,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_subscriptions_listen=self._listening,
        )

    @asynccontextmanager
    async def following_workflows(self, *, every_s: float) -> AsyncIterator[None]:
        """Within the context, clients are told when workflows have changed; 0: they are not."""
        if not every_s:
            yield
            return
        async with beside(self._follow_for_ever(every_s)):
            yield

    def end(self) -> None:
        """End what clients wait for, so that no answer holds up the end of this process."""
        for scope in self._calls:
            scope.cancel()
        self._listening.close()

    async def _list_tools(
        self, context: Context, _: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        self._remember(context)
        self._is_asked = True
        views: Mapping[str, Json] = {}
        try:
            views = await workflow_views(self._api_of())
        except Away:
            self._announced = {}  # this client is to be told once there are any
        except ApiError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error)) from error
        own = [tool.described(self._limits) for tool in JOB_TOOLS.values()]
        return types.ListToolsResult(tools=[*workflow_tools(views), *own])

    async def _call_tool(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        reports = ProgressReports(context.session.report_progress)
        calls = ToolCalls(self._api_of(), reports, self._limits)
        with anyio.CancelScope() as scope:
            self._calls.add(scope)
            try:
                return await calls.call(params.name, params.arguments or {})
            finally:
                self._calls.discard(scope)
        job = calls.canceled_job
        again = "ask again when it is back; `list_jobs` shows what goes on"
        told = f"job {job} was canceled" if job else again
        return refused(ApiError(f"this MCP server ends: {told}"))

    def _remember(self, context: Context) -> None:
        """Keep the newest session object of each connection, to notify it."""
        headers = getattr(context.request, "headers", {})
        session_id = headers.get("mcp-session-id", "")  # stdio has one connection, without id
        self._sessions[session_id] = context.session
        self._sessions.move_to_end(session_id)
        if len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)

    async def _follow_for_ever(self, every_s: float) -> None:
        """Look for changes of what was announced: of what this loop saw last, not a client, since
        each of them has looked at another time, and may see other workflows."""
        while True:
            if self._is_asked or self._announced is None:
                await self._look()
            await asyncio.sleep(every_s)

    async def _look(self) -> None:
        try:
            views = await workflow_views(self._own)
        except ApiError:
            self._announced = self._announced or {}
            return
        before, self._announced = self._announced, views
        if before is not None and views != before:
            await self._tell()

    async def _tell(self) -> None:
        """Tell every client that the tools have changed. Nothing is raised for one that is gone."""
        await self._bus.publish(ToolsListChanged())
        async with asyncio.TaskGroup() as telling:
            for name, session in self._sessions.items():
                telling.create_task(self._tell_one(name, session))

    async def _tell_one(self, name: str, session: ServerSession) -> None:
        """Tell a session; one that does not read is told no more until it asks again."""
        with anyio.move_on_after(TELL_S) as telling:
            await session.send_tool_list_changed()
        if telling.cancelled_caught and self._sessions.get(name) is session:
            del self._sessions[name]
