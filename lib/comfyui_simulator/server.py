"""The simulator as a server, inside an event loop or as a process of its own."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from comfyui_simulator.faults import FaultSwitch
from comfyui_simulator.parts import Parts, open_parts
from comfyui_simulator.routes import all_routes
from comfyui_simulator.settings import SimulatorSettings

UPLOAD_LIMIT_BYTES = 100 * 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Simulator:
    """One simulated ComfyUI. Usable as an async context manager."""

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self.settings = settings or SimulatorSettings()
        self.url = ""
        """`http://host:port` once started, without a slash at the end."""
        self.data_dir = Path()
        """Holds output/, input/ and temp/ once started."""
        self._cleanup = AsyncExitStack()
        self._parts: Parts | None = None

    @property
    def parts(self) -> Parts:
        """Its parts, for tests in the same process. Raises RuntimeError before the start."""
        if self._parts is None:
            raise RuntimeError("the simulator has not been started")
        return self._parts

    async def start(self) -> str:
        """Listen and execute; the URL."""
        self.data_dir = self.settings.data_dir or Path(
            self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="comfyui-simulator-"))
        )
        self._parts = open_parts(self.settings, self.data_dir)
        self._keep_running(self._parts.hub.publish())
        self._keep_running(self._parts.executor.work())
        runner = web.AppRunner(_application(self._parts), access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._cleanup.push_async_callback(runner.cleanup)
        self._cleanup.push_async_callback(self._parts.hub.close_all)
        await web.TCPSite(runner, self.settings.host, self.settings.port).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self.url

    async def stop(self) -> None:
        """Close everything. Raises what a broken part of the simulator itself raised."""
        await self._cleanup.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _keep_running(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)

        async def end() -> None:
            task.cancel()
            done, _ = await asyncio.wait([task])
            for finished in done:
                if not finished.cancelled():
                    finished.result()

        self._cleanup.push_async_callback(end)


async def serve(
    settings: SimulatorSettings, on_ready: Callable[[Simulator], None] = lambda simulator: None
) -> None:
    """Run a simulator until canceled; `on_ready` is called once it listens."""
    async with Simulator(settings) as simulator:
        on_ready(simulator)
        await asyncio.Event().wait()


def _application(parts: Parts) -> web.Application:
    application = web.Application(
        client_max_size=UPLOAD_LIMIT_BYTES, middlewares=[_slowed(parts.faults)]
    )
    application.add_routes(list(all_routes(parts)))
    return application


def _slowed(faults: FaultSwitch) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def slow(request: web.Request, handler: Handler) -> web.StreamResponse:
        if faults.now.slow_http_s and not request.path.startswith("/simulator/"):
            await asyncio.sleep(faults.now.slow_http_s)
        return await handler(request)

    return slow
