"""An HTTP client of an ASGI application, for tests that are synchronous or not.

Starlette's starts two threads and two event loops for each request; this one has a single loop for
all applications of the process.
"""

import asyncio
import atexit
import sys
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

import httpx2
from starlette.types import ASGIApp

ResultT = TypeVar("ResultT")


class AsgiClient:
    """Sends requests to ``app`` below ``base_url``; an error that it raises is answered by 500."""

    def __init__(self, app: ASGIApp, *, base_url: str) -> None:
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx2.AsyncClient(
            transport=transport, base_url=base_url, follow_redirects=True
        )

    def request(self, method: str, url: str, **options: Any) -> httpx2.Response:
        return _run(self._client.request(method, url, **options))

    def get(self, url: str, **options: Any) -> httpx2.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> httpx2.Response:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> httpx2.Response:
        return self.request("PUT", url, **options)

    def delete(self, url: str, **options: Any) -> httpx2.Response:
        return self.request("DELETE", url, **options)


def _run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    return asyncio.run_coroutine_threadsafe(_traced(work), _loop()).result()


class _Tracing:
    """The trace function of the loop's thread: the one of threads that would be started now.

    Coverage takes its own from threads that live on when it pauses, and gives none back to them.
    """

    def __init__(self) -> None:
        self._function: Any = None

    def renew(self) -> None:
        if (wanted := threading.gettrace()) is not self._function:
            sys.settrace(wanted)
            self._function = wanted


_tracing = _Tracing()


async def _traced(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    _tracing.renew()
    return await work


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Run an event loop in a thread until the process ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def end_tasks() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def stop() -> None:
        asyncio.run_coroutine_threadsafe(end_tasks(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    atexit.register(stop)
    return loop
