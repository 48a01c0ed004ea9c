"""Functions as simple as can be, for tests of what runs functions."""

import os
import time
from typing import Any

WAIT_S = 30

Event = dict[str, Any]


def echo(event: Event, context: Any) -> Event:
    """Its event, and what it sees of itself."""
    return {
        "event": event,
        "pid": os.getpid(),
        "arn": context.invoked_function_arn,
        "left_ms": context.get_remaining_time_in_millis(),
        "setting": os.environ.get("COMFYQ_TABLE"),  # noqa: TID251 - what it was given
    }


def fail(event: Event, context: Any) -> Event:
    raise ValueError("as it was told to")


def large(event: Event, context: Any) -> Event:
    return {"body": "x" * 8_000_000}


def leave(event: Event, context: Any) -> Event:
    os._exit(3)


def hang(event: Event, context: Any) -> Event:
    time.sleep(WAIT_S)
    return {}
