"""The driver that blocks."""

import ssl
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

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


class Driver:
    """Runs flows, from any thread."""

    def __init__(
        self, url: str, key: Key, *, verify: ssl.SSLContext | bool, http: httpx2.Client | None
    ) -> None:
        self._server = Server.at(url)
        self._key = key
        self._owned = http is None
        self._http = httpx2.Client(**self._server.options(verify)) if http is None else http

    @property
    def url(self) -> str:
        return self._server.url

    def close(self) -> None:
        if self._owned:
            self._http.close()

    def run(self, flow: Flow[ValueT]) -> ValueT:
        """Return the result of a flow that emits nothing."""
        performed = _Performed(self)
        try:
            step = begun(flow)
            while not isinstance(step, Done):
                outcome = performed.outcome(step)
                step = stepped(flow, outcome, performed.answered_by)
            return step.value
        finally:
            performed.close()
            flow.close()

    def emitted(
        self, flow: Flow[None], read: Callable[[Any], ValueT]
    ) -> Generator[ValueT, None, None]:
        """Yield what a flow emits, as ``read`` returns it."""
        performed = _Performed(self)
        try:
            step = begun(flow)
            while not isinstance(step, Done):
                if isinstance(step, Emit):
                    yield read(step.value)
                outcome = performed.outcome(step)
                step = stepped(flow, outcome, performed.answered_by)
        finally:
            performed.close()
            flow.close()

    def opened(self, request: Request, read_s: float) -> httpx2.Response:
        """Return a response whose body is still to be read; raises NotReached."""
        key = self._key() if callable(self._key) else self._key
        arguments = self._server.arguments(request, read_s, key)
        with as_not_reached(str(arguments["url"])):
            if not isinstance(request.content, Path):
                return self._http.send(self._http.build_request(**arguments), stream=True)
            arguments["headers"]["Content-Length"] = str(request.content.stat().st_size)
            with request.content.open("rb") as body:
                built = self._http.build_request(content=_chunks(body), **arguments)
                return self._http.send(built, stream=True)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


class _Performed:
    """A stream that a flow has opened."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.answered_by: str | None = None  # the URL of the last answer
        self._response: httpx2.Response | None = None
        self._items: Iterator[Any] = iter(())

    def outcome(self, effect: Effect) -> Outcome:
        """Perform an effect; what goes wrong is the flow's to handle."""
        try:
            return Outcome(self._perform(effect))
        except Exception as error:
            return Outcome(error=error)

    def close(self) -> None:
        if self._response is not None:
            with suppress(httpx2.HTTPError):
                self._response.close()
        self._response, self._items = None, iter(())

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send():
                return self._sent(effect)
            case Open():
                return self._opened(effect)
            case Next():
                return self._next()
            case Pause():
                return time.sleep(effect.seconds)
            case Emit():
                return None
            case _:
                return effect.call()

    def _sent(self, effect: Send) -> Answer:
        response = self._driver.opened(effect.request, effect.read_s)
        self.answered_by = str(response.url)
        try:
            check_method(effect.request, response)
            with as_not_reached(str(response.url)):
                return answer_of(response, content=response.read())
        finally:
            response.close()

    def _opened(self, effect: Open) -> Answer:
        self.close()
        response = self._response = self._driver.opened(effect.request, effect.read_s)
        self.answered_by = str(response.url)
        if response.status_code >= 400 or response.status_code == 204:
            with as_not_reached(str(response.url)):
                content = response.read()
            self.close()
            return answer_of(response, content=content)
        if effect.kind == "events":
            self._items = (each.data for each in httpx2.EventSource(response) if each.data)
        else:
            self._items = response.iter_bytes()
        return answer_of(response)

    def _next(self) -> Any:
        assert self._response is not None
        with as_not_reached(str(self._response.url)):
            item = next(self._items, None)
        if item is None:
            self.close()
        return item
