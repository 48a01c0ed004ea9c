"""Webhooks as options of commands have them, and as fields of requests."""

from collections.abc import Mapping, Sequence
from typing import Any

from comfyq.cli.batches.requests_file import Request, Row
from comfyq.cli.errors import CannotStart
from comfyq.domain.webhook.events import WebhookEvent
from comfyq.domain.webhook.urls import webhook_url_of


def webhook_given(url: str | None, events: Sequence[WebhookEvent] | None) -> dict[str, Any]:
    """Return the fields that --webhook and --webhook-event give; raises CannotStart."""
    try:
        fields: dict[str, Any] = {} if url is None else {"webhook_url": webhook_url_of(url)}
    except ValueError as wrong:
        raise CannotStart(f"--webhook: {wrong}") from wrong
    return fields | ({"webhook_events": [str(event) for event in events]} if events else {})


def with_webhook(rows: Sequence[Row], fields: Mapping[str, Any]) -> list[Row]:
    """Return the rows with these fields; one that names a URL of its own stays as it is."""
    if not fields:
        return list(rows)
    return [(place, _joined(request, fields)) for place, request in rows]


def _joined(request: Request, fields: Mapping[str, Any]) -> Request:
    if request.get("webhook_url") is not None:
        return request
    own = {n: v for n, v in request.items() if not (n == "webhook_url" and v is None)}
    return {**fields, **own}
