"""Webhooks as requests ask for them, and as their receivers get them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from comfyq.domain.webhook.events import ENDS, EVENTS, WebhookEvent, events_of
from comfyq.domain.webhook.urls import MAX_URL_CHARS, webhook_url_of
from comfyq.wire.generate.jobs import JobView
from comfyq.wire.times import Time

NULL = {"type": "null"}
# Narrower than what is taken: a host that begins with a digit may be an address that is not public.
HOST = r"^https?://[A-Za-z]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[1-9][0-9]{0,3})?"
URL_SCHEMA: dict[str, Any] = {
    "type": "string",
    "maxLength": MAX_URL_CHARS,
    "pattern": HOST + r"([/?][!\"$-~]*)?$",
}
EVENTS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "enum": list(map(str, EVENTS))},
}


def _url(value: Any) -> str | None:
    return None if value is None else webhook_url_of(value)


def _events(value: Any) -> tuple[WebhookEvent, ...] | None:
    return None if value is None else events_of(value)


WebhookUrl = Annotated[
    str | None,
    BeforeValidator(_url),
    WithJsonSchema({"anyOf": [URL_SCHEMA, NULL]}),
    Field(
        description="Who is told of the job, by webhooks as https://www.standardwebhooks.com "
        "describes them; null: the tenant's default, if it has one. It changes nothing of what "
        "the job makes."
    ),
]
WebhookEvents = Annotated[
    tuple[WebhookEvent, ...] | None,
    BeforeValidator(_events),
    WithJsonSchema({"anyOf": [EVENTS_SCHEMA, NULL]}),
    Field(
        description=f"What is told; null: {', '.join(ENDS)}, or what the default says. Progress "
        "is told each 5 seconds at most, and not again if it cannot be sent; none: nothing."
    ),
]
FIELDS = ("webhook_url", "webhook_events")


class JobWebhook(BaseModel):
    """The body of a webhook."""

    type: Literal[
        "job.queued",
        "job.started",
        "job.progress",
        "job.completed",
        "job.failed",
        "job.canceled",
    ] = Field(description="What happened.")
    timestamp: Time = Field(description="When it happened, not when it is sent.")
    data: JobView = Field(description="The job as it is when this is sent.")


def checked(values: dict[str, Any]) -> dict[str, Any]:
    """Return a request's values with those of its webhook read; raises ValueError."""
    readers = {"webhook_url": _url, "webhook_events": _events}
    given = values.keys() & readers.keys()
    try:
        return values | {name: readers[name](values[name]) for name in given}
    except ValueError as wrong:
        raise ValueError(f"its webhook {wrong}") from wrong
