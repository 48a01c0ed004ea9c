"""Event loops of Lambda functions that a test imports."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def closed_loops() -> Iterator[None]:
    """Lambda functions keep their event loops for as long as they live: here, until the end."""
    made: list[asyncio.AbstractEventLoop] = []
    policy = asyncio.get_event_loop_policy()
    make = policy.new_event_loop

    def new_event_loop() -> asyncio.AbstractEventLoop:
        made.append(make())
        return made[-1]

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(policy, "new_event_loop", new_event_loop)
            yield
    finally:
        asyncio.set_event_loop(None)
        for loop in made:
            loop.close()
