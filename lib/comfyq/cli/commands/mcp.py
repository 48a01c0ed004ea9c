"""``comfyq mcp``: the workflows of a server as tools for MCP clients."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated
from urllib.parse import urlsplit

import typer

from comfyq.cli.addresses import open_urls
from comfyq.cli.errors import CannotStart
from comfyq.cli.options import AsJson, Host, Port, Url
from comfyq.cli.profiles.servers import Server, Servers
from comfyq.cli.starting import print_ready, readable_failures, settings_with
from comfyq.domain.loopback import is_loopback
from comfyq.local.browsers.page_guard import ANY, PageGuard, ServedNames
from comfyq.local.limits.places import affordable
from comfyq.local.protocol import RequestLimits
from comfyq.local.serving import PortTaken, serving_app
from comfyq.local.signals import stop_event
from comfyq.mcp.access import Keys
from comfyq.mcp.api import ApiError
from comfyq.mcp.client_api import ClientApi, http_for
from comfyq.mcp.limits import CallLimits
from comfyq.mcp.server import McpServer
from comfyq.mcp.serving import PATH, http_app, serve_pipe, shown_bearer

USUAL = CallLimits()

Names = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        metavar="NAME",
        help="A name that HTTP clients call this machine by, beside its own; repeatable.",
    ),
]
InlineBytes = Annotated[
    int,
    typer.Option(
        min=0, help="Pictures and sounds of a result, together; what is larger is a link."
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", min=1, metavar="SECONDS", help="A call lasts so long at most; its job goes on."
    ),
]
Refresh = Annotated[
    float,
    typer.Option(
        min=0, metavar="SECONDS", help="Look so often for changed workflows; 0 looks never."
    ),
]


def mcp(
    ctx: typer.Context,
    url: Url = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP, not whoever started it.")
    ] = False,
    host: Host = "127.0.0.1",
    port: Port = 8765,
    allowed_host: Names = None,
    inline_bytes: InlineBytes = USUAL.inline_bytes,
    wait: Wait = USUAL.wait_s,
    refresh: Refresh = 30,
    as_json: AsJson = False,
) -> None:
    """Serve the workflows of a server to MCP clients, each as a tool.

    Clients start it and speak through a pipe, or connect by --http. Where others reach that, each
    shows its own API key as bearer.
    """
    servers: Servers = ctx.obj
    serving = _Serving(servers.at(url), CallLimits(inline_bytes=inline_bytes, wait_s=wait), refresh)
    if not http:
        asyncio.run(serving.pipe())
        return

    def say(at: str) -> None:
        if as_json:
            print_ready(url=at)
        else:
            typer.echo(f"MCP is served at {at} until Ctrl-C")

    limits = RequestLimits.of(affordable(settings_with().local))
    with readable_failures(PortTaken):
        asyncio.run(serving.http(host, port, names=allowed_host or (), limits=limits, say=say))


class _Serving:
    """Serves MCP clients from a server of comfyq, by one way or the other."""

    def __init__(self, server: Server, limits: CallLimits, refresh_s: float) -> None:
        self._url = server.url
        self._credential = server.credential
        self._limits = limits
        self._refresh_s = refresh_s

    async def pipe(self) -> None:
        """Serve whoever started this process, until they close our standard input."""
        async with http_for(self._url) as connections:
            own = ClientApi(connections, self._url, self._credential)
            mcp = McpServer(own, lambda: own, self._limits)
            async with mcp.following_workflows(every_s=self._refresh_s):
                await serve_pipe(mcp)

    async def http(
        self,
        host: str,
        port: int,
        *,
        names: Sequence[str],
        limits: RequestLimits,
        say: Callable[[str], None],
    ) -> None:
        """Serve HTTP until a signal, and ``say`` at which URL; raises PortTaken, and CannotStart
        where others could not be told apart."""
        async with http_for(self._url) as connections:
            own = ClientApi(connections, self._url, self._credential)
            shown, checks = own, None
            if not is_loopback(host):
                shown = ClientApi(connections, self._url, shown_bearer)
                keys = Keys(lambda key: ClientApi(connections, self._url, lambda: key))
                await _require_closed(keys)
                checks = keys.knows
            mcp = McpServer(own, lambda: shown, self._limits)
            stopped = stop_event()
            own_names = [*names, *_names_of(host)]
            app = http_app(mcp, names=own_names, checks=checks)
            # Its SDK takes for a port whatever follows a name, as `localhost:80@evil.example`, and
            # so judges origins alone: pages of this machine may come from any port.
            served = ServedNames(own_names)
            app.add_middleware(PageGuard, names=served, origins=[ANY], named_by="--allowed-host")
            async with (
                mcp.following_workflows(every_s=self._refresh_s),
                serving_app(app, host=host, port=port, limits=limits, on_stop=mcp.end) as url,
            ):
                say(f"{url}{PATH}")
                await stopped.wait()


def _names_of(host: str) -> Sequence[str]:
    """Return what this machine is called at the addresses that it listens on."""
    addresses = [urlsplit(each).netloc.rpartition(":")[0] for each in open_urls(host, 0)]
    return [f"[{host}]" if ":" in host else host, *addresses]


async def _require_closed(keys: Keys) -> None:
    try:
        await keys.require_closed()
    except ApiError as error:
        raise CannotStart(str(error)) from error
