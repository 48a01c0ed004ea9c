"""Signals that request an orderly end of the process."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


def stop_event() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the second one ends the process its own way."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        stopped.set()
        for number in STOPPING:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in STOPPING:
        loop.add_signal_handler(number, stop)
    return stopped


@contextmanager
def on_stop(call: Callable[[], None]) -> Iterator[None]:
    """Within the context, call ``call`` in the event loop when a signal comes, beside whatever the
    server of this process does at it: uvicorn first waits until every answer has ended."""
    if current_thread() is not main_thread():  # no signal comes to another one
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOPPING}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        elif handler is signal.SIG_DFL:  # it ends the process
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for number in STOPPING:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
