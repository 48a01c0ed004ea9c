"""What of a job may be told to a webhook."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any


class WebhookEvent(StrEnum):
    """An event's ``type`` is this word behind ``job.``."""

    QUEUED = "queued"  # the job was accepted
    STARTED = "started"  # ComfyUI has started it; again, if it is tried again
    PROGRESS = "progress"  # once in a while, sent once at most
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


ENDS = (WebhookEvent.COMPLETED, WebhookEvent.FAILED, WebhookEvent.CANCELED)
EVENTS = tuple(WebhookEvent)


def events_of(value: Any) -> tuple[WebhookEvent, ...]:
    """Return the events that a list of their names says, each once, in a fixed order.

    Raises:
        ValueError: it is no such list; the message says what is wrong.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"must be a list of {', '.join(EVENTS)}")
    if unknown := [each for each in value if not isinstance(each, str) or each not in EVENTS]:
        raise ValueError(f"{str(unknown[0])[:40]!r} is no event; events are {', '.join(EVENTS)}")
    return tuple(event for event in EVENTS if event in value)
