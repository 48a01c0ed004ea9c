"""Lists that come in pages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from comfyq.client.effects import Emit, Flow
from comfyq.client.messages import Request
from comfyq.client.sender import Deadline, Sender

Query = Sequence[tuple[str, str]]
PAGE = 100


def listed(
    sender: Sender,
    ask: Callable[[Query], Request],
    field: str,
    query: Query,
    limit: int | None,
    deadline: Deadline,
) -> Flow[None]:
    """Emit the items of all pages, or the first ``limit`` of them."""
    left = limit
    cursor: str | None = None
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page_query = [*query, ("limit", str(size)), *([("cursor", cursor)] if cursor else [])]
        page = yield from sender.json(ask(page_query), deadline)
        for item in page[field]:
            yield Emit(item)
        left = None if left is None else left - len(page[field])
        before, cursor = cursor, page.get("next_cursor")
        if not cursor or cursor == before:  # the same page again would have no end
            return


def query_of(labels: Mapping[str, str] | None, **narrowed: Any) -> Query:
    """Return a query with what is given; times as ISO 8601 has them."""
    query = [(name, _text(value)) for name, value in narrowed.items() if value is not None]
    return query + [("label", f"{name}={value}") for name, value in (labels or {}).items()]


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
