"""The event loop of long-running processes: uvloop where it can be had, for half the overhead."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from comfyq.aio.logs import log

new_event_loop: Callable[[], asyncio.AbstractEventLoop]
try:
    from uvloop import new_event_loop
except ImportError:  # there is none for Windows
    new_event_loop = asyncio.new_event_loop


def run(main: Coroutine[Any, Any, None]) -> None:
    """``asyncio.run``, on the quicker loop, with a logger whose first line holds nobody up."""
    log.prepare()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main)
