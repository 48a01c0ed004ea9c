"""Bodies of requests, from arguments of the client's methods."""

from collections.abc import Mapping, Sequence
from typing import Any


def generation(
    workflow: str | None, values: Mapping[str, Any] | None, parameters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the body of ``POST /generate``."""
    named = {} if workflow is None else {"workflow": workflow}
    return {**named, **(values or {}), **parameters}


def batch(
    requests: Sequence[Mapping[str, Any]] | None,
    request: Mapping[str, Any] | None,
    product: Mapping[str, Sequence[Any]] | None,
    webhook_url: str | None,
    webhook_events: Sequence[str] | None,
) -> Mapping[str, Any]:
    """Return the body of ``POST /generate/batch``."""
    given = {
        "requests": None if requests is None else list(requests),
        "request": request,
        "product": product,
        "webhook_url": webhook_url,
        "webhook_events": webhook_events,
    }
    return {name: value for name, value in given.items() if value is not None}


def key(
    name: str,
    scopes: Sequence[str] | None,
    tenant: str | None,
    expires_in_s: int | None,
    requests_per_minute: int | None,
) -> Mapping[str, Any]:
    """Return the body of ``POST /keys``."""
    given = {
        "name": name,
        "scopes": None if scopes is None else list(scopes),
        "tenant": tenant,
        "expires_in_s": expires_in_s,
        "requests_per_minute": requests_per_minute,
    }
    return {name: value for name, value in given.items() if value is not None}
