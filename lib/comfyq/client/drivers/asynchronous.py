"""The driver for event loops of asyncio."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx2

from comfyq.client.drivers.http import (
    CHUNK_BYTES,
    Key,
    Server,
    answer_of,
    as_not_reached,
    check_method,
    stepped,
)
from comfyq.client.effects import (
    Done,
    Effect,
    Emit,
    Flow,
    Next,
    Open,
    Outcome,
    Pause,
    Send,
    begun,
)
from comfyq.client.messages import Answer, Request

ValueT = TypeVar("ValueT")


class AsyncDriver:
    """Runs flows in one event loop."""

    def __init__(
        self, url: str, key: Key, *, verify: ssl.SSLContext | bool, http: httpx2.AsyncClient | None
    ) -> None:
        self._server = Server.at(url)
        self._key = key
        self._owned = http is None
        self._http = httpx2.AsyncClient(**self._server.options(verify)) if http is None else http

    @property
    def url(self) -> str:
        return self._server.url

    async def close(self) -> None:
        if self._owned:
            await self._http.aclose()

    async def run(self, flow: Flow[ValueT]) -> ValueT:
        """Return the result of a flow that emits nothing."""
        performed = _Performed(self)
        try:
            step = begun(flow)
            while not isinstance(step, Done):
                outcome = await performed.outcome(step)
                step = stepped(flow, outcome, performed.answered_by)
            return step.value
        finally:
            await performed.close()
            flow.close()

    async def emitted(
        self, flow: Flow[None], read: Callable[[Any], ValueT]
    ) -> AsyncGenerator[ValueT, None]:
        """Yield what a flow emits, as ``read`` returns it."""
        performed = _Performed(self)
        try:
            step = begun(flow)
            while not isinstance(step, Done):
                if isinstance(step, Emit):
                    yield read(step.value)
                outcome = await performed.outcome(step)
                step = stepped(flow, outcome, performed.answered_by)
        finally:
            await performed.close()
            flow.close()

    async def opened(self, request: Request, read_s: float) -> httpx2.Response:
        """Return a response whose body is still to be read; raises NotReached."""
        key = await anyio.to_thread.run_sync(self._key) if callable(self._key) else self._key
        arguments = self._server.arguments(request, read_s, key)
        with as_not_reached(str(arguments["url"])):
            if not isinstance(request.content, Path):
                return await self._http.send(self._http.build_request(**arguments), stream=True)
            size = (await anyio.Path(request.content).stat()).st_size
            arguments["headers"]["Content-Length"] = str(size)
            async with await anyio.open_file(request.content, "rb") as body:
                built = self._http.build_request(content=_chunks(body), **arguments)
                return await self._http.send(built, stream=True)


async def _chunks(file: anyio.AsyncFile[bytes]) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK_BYTES):
        yield chunk


class _Performed:
    """A stream that a flow has opened."""

    def __init__(self, driver: AsyncDriver) -> None:
        self._driver = driver
        self.answered_by: str | None = None  # the URL of the last answer
        self._response: httpx2.Response | None = None
        self._items: AsyncIterator[Any] | None = None

    async def outcome(self, effect: Effect) -> Outcome:
        """Perform an effect; what goes wrong is the flow's to handle, but for a cancellation."""
        try:
            return Outcome(await self._perform(effect))
        except Exception as error:
            return Outcome(error=error)

    async def close(self) -> None:
        response, self._response, self._items = self._response, None, None
        if response is not None:
            with suppress(httpx2.HTTPError), anyio.CancelScope(shield=True):
                await response.aclose()

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send():
                return await self._sent(effect)
            case Open():
                return await self._opened(effect)
            case Next():
                return await self._next()
            case Pause():
                return await anyio.sleep(effect.seconds)
            case Emit():
                return None
            case _:
                return await anyio.to_thread.run_sync(effect.call)

    async def _sent(self, effect: Send) -> Answer:
        response = await self._driver.opened(effect.request, effect.read_s)
        self.answered_by = str(response.url)
        try:
            check_method(effect.request, response)
            with as_not_reached(str(response.url)):
                return answer_of(response, content=await response.aread())
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _opened(self, effect: Open) -> Answer:
        await self.close()
        response = self._response = await self._driver.opened(effect.request, effect.read_s)
        self.answered_by = str(response.url)
        if response.status_code >= 400 or response.status_code == 204:
            with as_not_reached(str(response.url)):
                content = await response.aread()
            await self.close()
            return answer_of(response, content=content)
        self._items = _events(response) if effect.kind == "events" else _bytes(response)
        return answer_of(response)

    async def _next(self) -> Any:
        assert self._response is not None
        assert self._items is not None
        with as_not_reached(str(self._response.url)):
            item = await anext(self._items, None)
        if item is None:
            await self.close()
        return item


async def _events(response: httpx2.Response) -> AsyncIterator[str]:
    async for event in httpx2.EventSource(response):
        if event.data:
            yield event.data


def _bytes(response: httpx2.Response) -> AsyncIterator[bytes]:
    return response.aiter_bytes()
