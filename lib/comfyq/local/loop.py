"""The event loop of long-running processes: uvloop where it can be had, for half the overhead."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run(main: Coroutine[Any, Any, None]) -> None:
    """``asyncio.run``, on the quicker loop."""
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
