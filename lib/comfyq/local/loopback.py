from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp

from comfyq.local.serving import Guest, listen


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve ``app`` over HTTP on a free port that only this machine reaches.

    Yields ``host:port``, which takes connections from then on.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = Guest(config)
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            try:
                yield f"{host}:{port}"
            finally:
                server.should_exit = True
