"""The client of applications in the tests' own process."""

import threading
from types import FrameType
from typing import Any

from starlette.types import Receive, Scope, Send

from tests.asgi_client import AsgiClient


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_an_application_is_traced_as_threads_are_that_start_now() -> None:
    """Its loop lives on when coverage pauses for a test, and goes on for the next."""
    called: list[str] = []

    def trace(frame: FrameType, event: str, arg: Any) -> None:
        called.append(frame.f_code.co_name)

    usual = threading.gettrace()
    client = AsgiClient(answer, base_url="http://here")
    try:
        for wanted in (trace, None, trace):
            called.clear()
            threading.settrace(wanted)
            assert client.get("/").status_code == 204
            assert ("answer" in called) == (wanted is not None)
    finally:
        threading.settrace(usual)
    assert client.get("/").status_code == 204
